-- What people must give back, and the units of an order's lines that were given up unsent. Written by `orders`.
ALTER TABLE orders ADD COLUMN owed_by_hand bigint NOT NULL DEFAULT 0; -- for what was given up and came by hand

-- Called-off orders that have money, and orders of which a part was given up: few.
CREATE INDEX orders_with_money_to_give_back ON orders (placed_at, order_id)
    WHERE (cancel_reason IS NOT NULL AND paid > refunded) OR owed_by_hand > 0;

ALTER TABLE order_lines ADD COLUMN given_up bigint NOT NULL DEFAULT 0; -- units that will not be sent

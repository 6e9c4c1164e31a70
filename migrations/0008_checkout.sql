-- Payments and refunds through a gateway, parcels, and the charge for sending. Written by `orders` and `carts`.
ALTER TABLE carts ADD COLUMN shipping bigint;
ALTER TABLE orders ADD COLUMN shipping bigint;

ALTER TABLE order_payments
    ALTER COLUMN method DROP NOT NULL,    -- recorded payments have one
    ALTER COLUMN reference DROP NOT NULL, -- recorded payments have one
    ADD COLUMN status  text NOT NULL DEFAULT 'recorded',
    ADD COLUMN intent  text, -- how the gateway names it
    ADD COLUMN failure text; -- why it was declined

ALTER TABLE order_refunds
    DROP CONSTRAINT order_refunds_pkey, -- one refund may take from several payments
    ALTER COLUMN reference DROP NOT NULL,
    ADD COLUMN payment_id uuid, -- none if people gave the money back
    ADD COLUMN status     text NOT NULL DEFAULT 'done',
    ADD COLUMN failure    text; -- why the gateway would not
CREATE INDEX order_refunds_by_order ON order_refunds (order_id, refund_id);

CREATE TABLE order_shipments (
    order_id     uuid        NOT NULL,
    shipment_id  uuid        NOT NULL,
    merchant_id  text        NOT NULL,
    lines        jsonb       NOT NULL, -- [{"line_id", "quantity"}]
    tracking     jsonb,                -- {"carrier", "number"}
    sent_at      timestamptz NOT NULL,
    delivered_at timestamptz,
    revision     bigint      NOT NULL,
    PRIMARY KEY (order_id, shipment_id)
);

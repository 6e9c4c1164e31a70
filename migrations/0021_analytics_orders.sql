-- One row for each order, with the time at which it came to each state. Written by the projection `analytics_orders`.
CREATE TABLE analytics_orders (
    order_id      uuid PRIMARY KEY,
    customer_id   text COLLATE "C", -- a guest has none
    country       text COLLATE "C" NOT NULL,
    currency      text COLLATE "C" NOT NULL,
    status        text             NOT NULL,
    total         bigint           NOT NULL, -- with the charge for sending
    lines         bigint           NOT NULL,
    units         bigint           NOT NULL,
    placed_at     timestamptz      NOT NULL,
    paid_at       timestamptz,
    processing_at timestamptz,
    shipped_at    timestamptz,
    delivered_at  timestamptz,
    cancelled_at  timestamptz,
    refunded_at   timestamptz
) WITH (fillfactor = 60);
CREATE INDEX analytics_orders_by_time ON analytics_orders (placed_at);
CREATE INDEX analytics_orders_by_buyer ON analytics_orders (customer_id, paid_at)
    WHERE customer_id IS NOT NULL AND paid_at IS NOT NULL;
CREATE INDEX analytics_orders_by_payment ON analytics_orders (paid_at) WHERE paid_at IS NOT NULL;

-- One row for each cart. Written by the projection `analytics_carts`.
CREATE TABLE analytics_carts (
    cart_id        uuid PRIMARY KEY,
    customer_id    text COLLATE "C",
    currency       text COLLATE "C" NOT NULL,
    opened_at      timestamptz      NOT NULL,
    order_id       uuid,
    checked_out_at timestamptz,
    abandoned_at   timestamptz
) WITH (fillfactor = 80);
CREATE INDEX analytics_carts_by_time ON analytics_carts (opened_at);

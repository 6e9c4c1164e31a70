-- Carts and their lines. Written by the projection `carts`.
CREATE TABLE carts (
    cart_id     uuid PRIMARY KEY,
    status      text        NOT NULL CHECK (status IN ('open', 'checked_out', 'abandoned')),
    currency    text        NOT NULL,
    customer_id text,
    order_id    uuid,
    country     text,
    total       bigint, -- locked at checkout; before that, the total is the sum of the lines
    opened_at   timestamptz NOT NULL,
    changed_at  timestamptz NOT NULL,
    revision    bigint      NOT NULL,
    position    bigint      NOT NULL
) WITH (fillfactor = 80);

CREATE INDEX carts_by_time ON carts (opened_at, cart_id);
CREATE INDEX carts_by_status ON carts (status, opened_at, cart_id);

CREATE TABLE cart_lines (
    cart_id    uuid    NOT NULL,
    line_id    uuid    NOT NULL,
    sku        text    NOT NULL,
    quantity   bigint  NOT NULL,
    unit_price bigint  NOT NULL, -- as the shopper saw it; the locked price from checkout on
    agreed     boolean NOT NULL,
    added      bigint  NOT NULL, -- the revision that added it: the order of the lines
    PRIMARY KEY (cart_id, line_id)
);

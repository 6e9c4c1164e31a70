-- Orders with all that happened to them. Written by the projection `orders`.
CREATE TABLE orders (
    order_id      uuid PRIMARY KEY,
    cart_id       uuid        NOT NULL,
    customer_id   text,
    country       text        NOT NULL,
    currency      text        NOT NULL,
    status        text        NOT NULL,
    total         bigint      NOT NULL,
    paid          bigint      NOT NULL,
    refunded      bigint      NOT NULL,
    lines         bigint      NOT NULL,
    units         bigint      NOT NULL,
    cancel_reason jsonb,
    placed_at     timestamptz NOT NULL,
    changed_at    timestamptz NOT NULL,
    revision      bigint      NOT NULL,
    position      bigint      NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX orders_by_time ON orders (placed_at, order_id);
CREATE INDEX orders_by_status ON orders (status, placed_at, order_id);
CREATE INDEX orders_by_country ON orders (country, placed_at, order_id);
CREATE INDEX orders_by_customer ON orders (customer_id, placed_at, order_id) WHERE customer_id IS NOT NULL;

CREATE TABLE order_lines (
    order_id    uuid   NOT NULL,
    number      bigint NOT NULL, -- from 1, in the order of the cart
    line_id     uuid   NOT NULL,
    sku         text   NOT NULL,
    merchant_id text   NOT NULL,
    name        text   NOT NULL,
    quantity    bigint NOT NULL,
    unit_price  bigint NOT NULL,
    PRIMARY KEY (order_id, number)
);

-- One row for each event of the order.
CREATE TABLE order_history (
    order_id    uuid        NOT NULL,
    revision    bigint      NOT NULL,
    position    bigint      NOT NULL,
    event_type  text        NOT NULL,
    summary     text        NOT NULL,
    actor       text        NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (order_id, revision)
);

-- What stock answered, one row for each event that says so; the last answer for a SKU counts. A row for each SKU
-- would be three times as many rows as there are order lines, for a question that is asked of one order at a time.
CREATE TABLE order_stock_answers (
    order_id uuid   NOT NULL,
    revision bigint NOT NULL,
    answers  jsonb  NOT NULL, -- [{"sku", "phase": held|refused|committed|shipped|released, "available"?}]
    PRIMARY KEY (order_id, revision)
);

CREATE TABLE order_payments (
    order_id    uuid        NOT NULL,
    payment_id  uuid        NOT NULL,
    amount      bigint      NOT NULL,
    currency    text        NOT NULL,
    method      text        NOT NULL,
    reference   text        NOT NULL,
    occurred_at timestamptz NOT NULL,
    revision    bigint      NOT NULL,
    PRIMARY KEY (order_id, payment_id)
);

CREATE TABLE order_refunds (
    order_id    uuid        NOT NULL,
    refund_id   uuid        NOT NULL,
    amount      bigint      NOT NULL,
    currency    text        NOT NULL,
    reference   text        NOT NULL,
    occurred_at timestamptz NOT NULL,
    revision    bigint      NOT NULL,
    PRIMARY KEY (order_id, refund_id)
);

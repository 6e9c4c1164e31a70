-- One row for each product that was ever defined. Written by the projection `products`.
CREATE TABLE products (
    sku         text COLLATE "C" PRIMARY KEY,
    merchant_id text        NOT NULL,
    name        text        NOT NULL,
    price       bigint      NOT NULL, -- minor units
    currency    text        NOT NULL,
    retired     boolean     NOT NULL,
    defined_at  timestamptz NOT NULL, -- business time, as all times of the read models
    changed_at  timestamptz NOT NULL,
    revision    bigint      NOT NULL,
    position    bigint      NOT NULL
);

CREATE INDEX products_by_merchant ON products (merchant_id, sku);

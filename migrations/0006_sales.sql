-- What was sold, by day (UTC) of the payment. Written by the projection `sales`.
--
-- `dimension` says what `key` is: `total` (the key is empty), `sku`, `merchant`, `country`. `orders` counts the
-- orders with at least one such line, so it adds up over the keys only where an order has a single key.
CREATE TABLE sales (
    dimension text COLLATE "C" NOT NULL CHECK (dimension IN ('total', 'sku', 'merchant', 'country')),
    day       date             NOT NULL,
    key       text COLLATE "C" NOT NULL,
    currency  text COLLATE "C" NOT NULL,
    orders    bigint           NOT NULL,
    lines     bigint           NOT NULL,
    units     bigint           NOT NULL,
    revenue   bigint           NOT NULL, -- minor units of the currency
    PRIMARY KEY (dimension, day, key, currency)
) WITH (fillfactor = 70);

-- Orders that are placed and not yet paid: what to book when they are.
CREATE TABLE sales_pending_orders (
    order_id uuid PRIMARY KEY,
    sale     jsonb NOT NULL
);

-- The stock of each SKU, in units. Written by the projection `stock`.
--
-- `reserved` counts all units held for orders, the committed ones among them. The checks turn an event counted
-- twice, or lost, into an error that stops the projection.
CREATE TABLE stock (
    sku        text COLLATE "C" PRIMARY KEY,
    received   bigint      NOT NULL,
    adjusted   bigint      NOT NULL,
    available  bigint      NOT NULL CHECK (available >= 0),
    reserved   bigint      NOT NULL CHECK (reserved >= committed),
    committed  bigint      NOT NULL CHECK (committed >= 0),
    shipped    bigint      NOT NULL CHECK (shipped >= 0),
    changed_at timestamptz NOT NULL,
    revision   bigint      NOT NULL,
    position   bigint      NOT NULL,
    CONSTRAINT stock_is_conserved CHECK (received + adjusted = available + reserved + shipped)
) WITH (fillfactor = 40);

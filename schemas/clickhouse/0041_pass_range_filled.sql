-- 0040 gave its index to the rows that come after it alone: without this, each pass of an existing store reads all hours.
ALTER TABLE rollup_labels MATERIALIZE INDEX pass_range;

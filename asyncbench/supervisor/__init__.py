"""The supervisor process: leads a sweep, holds one bench process per device, is the only writer of records."""

"""How many people were where: samples of workers in, buckets of time out."""

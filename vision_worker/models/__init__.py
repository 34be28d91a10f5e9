"""The models of one worker process: loaded once, run in one thread, shared by all cameras."""

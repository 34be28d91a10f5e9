"""The cameras of one worker process, each watched through every failure of its source."""

"""Control: registers, instruction fetch, queues, tokens, errors."""

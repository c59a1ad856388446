"""Instructions of a network: layer by layer, turn by turn, and one program of them all."""

"""One board of every part and geometry: designs in RTL alone differ in nothing else."""

from intramix.platforms.boards import BOARDS

DISTINCT = list({(entry.part, entry.geometry.signature): name for name, entry in BOARDS.items() if entry.part}.values())

"""Where a value is stored: its words in DDR, the STOREs that write them, and the log records that speak for them."""

from ...hdl.instructions import Store
from ...hdl.isa import DIGIT_BITS
from ..program.lane_groups import group_of
from ..program.map_layout import MapLayout
from ..program.program import LayerRecord
from .errors import ExplainError
from .explanation import Position, StoredDigit
from .history import History
from .places import BitField, DdrWord


def stored_words(layout: MapLayout, position: Position, place: int) -> list[tuple[DdrWord, BitField]]:
    """By digit, the word that holds a value, and which of its bits.

    Parameters
    ----------
    place: of the channel among those stored.
    """
    word, slot = divmod(place, layout.word_channels)
    row, column = layout.stored_row(position.image, position.row), layout.stored_column(position.column)
    width = layout.slot_bits if layout.digits == 1 else DIGIT_BITS
    result = []
    for digit in range(layout.digits):
        address = layout.address(layout.plane(digit, word), row, column)
        target = DdrWord(region=layout.region, address=address, size=layout.word_bytes)
        result.append((target, BitField(first=slot * layout.slot_bits, width=width)))
    return result


def find_store(history: History, record: LayerRecord, word: DdrWord, bits: BitField) -> StoredDigit:
    """The last STORE of a layer that writes a word.

    Raises
    ------
    ExplainError: there is none.
    """
    others = []
    for number, store in reversed(history.stores):
        address = _output_address(history, store, word)
        if address is None:
            continue
        if store.layer == record.number:
            emitter = _emitter(history, number, store)
            return StoredDigit(
                word=word, bits=bits, store=number, lane=store.lane, address=address, crc_register=store.crc_register,
                emitter=None if emitter is None else emitter[0], slot=None if emitter is None else emitter[1].crc_slot,
            )  # fmt: skip
        others.append(f"STORE {number} of layer {store.layer}")
    but = f"; {', '.join(others)} does" if others else ""
    raise ExplainError(
        f"no STORE of layer {record.name} writes {word}, where its value belongs: the program is damaged{but}"
    )


def _output_address(history: History, store: Store, word: DdrWord) -> int | None:
    """The address in its lane's output memory of what a STORE writes to a word of DDR; None if it does not."""
    if store.region.name != word.region:
        return None
    for plane in range(store.planes):
        for chunk in range(store.chunks):
            begin = store.address + plane * store.plane_stride + chunk * store.chunk_stride
            place, rest = divmod(word.address - begin, history.geometry.word_bytes)
            if rest == 0 and 0 <= place < store.chunk_words:
                return store.base + plane * store.plane_pitch + chunk * store.chunk_words + place
    return None


def _emitter(history: History, number: int, store: Store) -> tuple[int, Store] | None:
    """The STORE that writes the CRC register of another one to the log, with its number; None if none does."""
    group, register = group_of(store.lane, history.geometry), store.crc_register
    for later, other in history.stores:
        same = other.crc_register == register and group_of(other.lane, history.geometry) == group
        if later < number or not same:
            continue
        if later > number and other.crc_start:
            return None
        if other.crc_emit:
            return later, other
    return None

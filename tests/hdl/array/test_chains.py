"""When a LUT cell adds what."""

from intramix.hdl.array.cells.chains import AdderChains


def test_pairs_start_from_a_unit():
    chains = AdderChains(channels=16, unit_channels=2, counted=False)
    assert chains.units == (((0, 1, 2), (3, 4), (5, 6), (7,)),)
    assert chains.cycles == 4
    assert chains.unit_delays == (0, 0, 0, 1, 1, 2, 2, 3)
    assert chains.channel_delays == (0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3)


def test_counted_chains_of_single_channels():
    chains = AdderChains(channels=16, unit_channels=1, counted=True)
    assert chains.units == (((0, 1), (2, 3), (4, 5), (6, 7)), ((8, 9), (10, 11), (12, 13), (14, 15)))
    assert chains.unit_delays == chains.channel_delays == (0, 0, 1, 1, 2, 2, 3, 3) * 2


def test_one_short_chain():
    assert AdderChains(channels=4, unit_channels=2, counted=False).units == (((0, 1),),)

"""The DDR model, exercised by a copying master: data, latency, byte rate, stalls, and every rule it checks."""

import dataclasses

import numpy as np
import pytest

from intramix.sim.conditions import ConditionsError, DdrConditions
from intramix.sim.errors import SimulationError
from intramix.sim.simulation import FaultMode
from tests.support import copying

pytestmark = pytest.mark.simulator

FAST = DdrConditions(peak_bytes_per_second=1e12, latency_cycles=1, response_cycles=1)
CROSSES, EARLY_LAST, CHANGES_ADDRESS, DROPS_ADDRESS, NARROW = range(1, 6)
FIXED, CHANGES_DATA, TOO_LONG, DROPS_DATA, FATAL = range(6, 11)


def stalled(seed: int, probability: float = 0.4) -> DdrConditions:
    return DdrConditions(peak_bytes_per_second=1e12, latency_cycles=3, stall_probability=probability, seed=seed)


@pytest.mark.parametrize("data_bits", [32, 64, 128])
@pytest.mark.parametrize("conditions", [DdrConditions(), stalled(1), stalled(2, 0.8)], ids=["plain", "stalls", "crawl"])
def test_copy(data_bits, conditions):
    beat = data_bits // 8
    with copying.simulation(conditions, data_bits=data_bits) as sim:
        source, destination, size = 0x0FF0 - 5 * beat, 0x8000 + 3 * beat, 0x2000 + 7 * beat
        before = sim.memory.copy()
        copying.start_copy(sim, source, destination, size)
        sim.run(200_000)
        assert sim.interrupt
        assert sim.read(copying.STATUS) == 1
        expected = before.copy()
        expected[destination : destination + size] = before[source : source + size]
        np.testing.assert_array_equal(sim.memory, expected)  # the bytes around the copy too
        traffic = sim.traffic["copy"]
        assert (traffic.read_bytes, traffic.write_bytes) == (size, size)
        assert sim.memory_idle


def test_same_seed_same_cycles():
    def cycles(seed):
        with copying.simulation(stalled(seed)) as sim:
            copying.start_copy(sim, 0, 0x8000, 0x1000)
            return sim.run(100_000)

    assert cycles(5) == cycles(5)
    assert cycles(5) != cycles(6)


@pytest.mark.parametrize("latency", [1, 2, 40, 200])
def test_read_latency(latency):
    """A burst of one beat: each further cycle of latency is one further cycle of the run."""
    def cycles(latency_cycles, response_cycles):
        conditions = DdrConditions(
            peak_bytes_per_second=1e12, latency_cycles=latency_cycles, response_cycles=response_cycles
        )
        with copying.simulation(conditions) as sim:
            copying.start_copy(sim, 0, 0x8000, 8)
            return sim.run(10_000)

    assert cycles(latency, 1) - cycles(1, 1) == latency - 1
    assert cycles(1, latency) - cycles(1, 1) == latency - 1


@pytest.mark.parametrize(("rate", "stream_bits"), [(0.75, 32), (2.0, 32), (3.0, 32), (6.0, 64), (12.0, 128)])
def test_byte_rate_of_one_port(rate, stream_bits):
    """A stream with many bursts outstanding gets exactly the rate, whatever the latency."""
    conditions = DdrConditions(peak_bytes_per_second=rate * 100e6 / 0.75, latency_cycles=100)
    assert conditions.bytes_per_cycle == pytest.approx(rate)
    with copying.simulation(conditions, stream_bits=stream_bits) as sim:
        bursts = copying.MEMORY_BYTES // (2 * stream_bits)
        sim.write(copying.STREAM_BURSTS, bursts)
        sim.write(copying.CONTROL, 2)
        sim.run(2000, until_interrupt=False)  # past the latency and the bucket
        before = sim.traffic["stream"].read_bytes
        sim.run(2000, until_interrupt=False)
        moved = sim.traffic["stream"].read_bytes - before
        assert moved == pytest.approx(2000 * rate, abs=2 * stream_bits // 8)
        assert sim.limited_cycles > 0


def test_byte_rate_is_shared():
    """The copy and the stream together never move more than the rate allows, and both get on."""
    rate = 3.0
    with copying.simulation(DdrConditions(peak_bytes_per_second=rate * 100e6 / 0.75, latency_cycles=8)) as sim:
        start = sim.cycles
        sim.write(copying.STREAM_BURSTS, 1000)
        sim.write(copying.CONTROL, 2)
        copying.start_copy(sim, 0, 0x8000, 0x4000)
        sim.run(8000, until_interrupt=False)
        traffic = sim.traffic
        total = sum(port.read_bytes + port.write_bytes for port in traffic.values())
        assert total <= rate * (sim.cycles - start) + 64
        assert total >= 0.95 * rate * 8000
        assert min(traffic["copy"].write_bytes, traffic["stream"].read_bytes) > 1000


@pytest.mark.parametrize("shared", [False, True])
def test_masters_that_share_a_port(shared):
    """Together they are given one beat a cycle; with ports of their own, one each. Both get on."""
    conditions = dataclasses.replace(FAST, shared_ports=(("copy", "stream"),) if shared else ())
    with copying.simulation(conditions, data_bits=32) as sim:
        sim.write(copying.STREAM_BURSTS, 1000)
        sim.write(copying.CONTROL, 2)
        copying.start_copy(sim, 0, 0x8000, 0x4000)
        start, before = sim.cycles, sim.traffic
        sim.run(1500, until_interrupt=False)
        beats = {name: (port.read_bytes - before[name].read_bytes) / 4 for name, port in sim.traffic.items()}
        assert min(beats.values()) > 300
        assert (sum(beats.values()) > sim.cycles - start) != shared


def test_unknown_master_shares_no_port():
    with pytest.raises(ConditionsError, match="shared_ports names 'weights'; the masters are copy, stream"):
        copying.simulation(dataclasses.replace(FAST, shared_ports=(("copy", "weights"),)))


def test_stream_sum():
    with copying.simulation(stalled(3)) as sim:
        sim.write(copying.STREAM_START, 0x1000)
        sim.write(copying.STREAM_BURSTS, 64)
        sim.write(copying.CONTROL, 2)
        sim.run(20_000, until_interrupt=False)
        words = sim.memory[0x1000 : 0x1000 + 64 * 64].view("<u4")
        assert sim.read(copying.STREAM_SUM) == int(words.sum(dtype=np.uint64)) & 0xFFFFFFFF


@pytest.mark.parametrize(("fault", "message"), [
    (CROSSES, "crosses 4 KiB"),
    (EARLY_LAST, "WLAST is high in beat 0"),
    (CHANGES_ADDRESS, "payload of AR changed"),
    (DROPS_ADDRESS, "ARVALID fell"),
    (NARROW, "narrower or wider than the bus"),
    (FIXED, "is not INCR"),
    (CHANGES_DATA, "payload of W changed"),
    (DROPS_DATA, "WVALID fell"),
    (TOO_LONG, "longer than 16"),
    (FATAL, r"\$stop or \$fatal"),
])  # fmt: skip
def test_violation_ends_the_run(fault, message):
    with copying.simulation(stalled(4)) as sim:
        copying.start_copy(sim, 0x0FC0, 0x8FC8, 0x1000, fault=fault)
        with pytest.raises(SimulationError, match=message):
            sim.run(100_000)
        with pytest.raises(SimulationError, match=message):  # and keeps it ended
            sim.read(copying.STATUS)


@pytest.mark.parametrize(("source", "destination", "message"), [
    (0x0004, 0x8000, "not aligned"),
    (0x0000, copying.MEMORY_BYTES, "AW burst .* out of memory"),
    (copying.MEMORY_BYTES - 0x40, 0x8000, "AR burst .* out of memory"),
])  # fmt: skip
def test_address_violations(source, destination, message):
    with copying.simulation(FAST) as sim:
        copying.start_copy(sim, source, destination, 0x100)
        with pytest.raises(SimulationError, match=message):
            sim.run(10_000)


@pytest.mark.parametrize(("source", "destination", "message"), [
    (0x0FC0, 0x8000, "read of .* not allocated"),
    (0x1000, 0x8F40, "write to 0x9000, which is not allocated"),
])  # fmt: skip
def test_memory_that_is_not_allocated(source, destination, message):
    with copying.simulation(FAST) as sim:
        sim.allow(0x1000, 0x2000)
        sim.allow(0x8000, 0x9000)
        copying.start_copy(sim, 0x1000, 0x8000, 0x1000)
        sim.run(10_000)
        assert sim.interrupt
        copying.start_copy(sim, source, destination, 0x100)
        with pytest.raises(SimulationError, match=message):
            sim.run(10_000, until_interrupt=False)


@pytest.mark.parametrize("mode", [FaultMode.SLVERR, FaultMode.DECERR])
@pytest.mark.parametrize("reads", [True, False], ids=["read", "write"])
@pytest.mark.parametrize("seed", [1, 2])
def test_injected_error(mode, reads, seed):
    with copying.simulation(stalled(seed)) as sim:
        before = sim.memory.copy()
        place = 0x208 if reads else 0x8208
        sim.inject(place, place + 8, mode, reads=reads, writes=not reads)
        copying.start_copy(sim, 0, 0x8000, 0x1000)
        sim.run(100_000)
        assert sim.read(copying.STATUS) == 1 | int(mode) << 2
        if not reads:  # the word that was refused is as before
            np.testing.assert_array_equal(sim.memory[place : place + 8], before[place : place + 8])
        sim.clear_faults()
        copying.start_copy(sim, 0, 0x8000, 0x1000)
        sim.run(2, until_interrupt=False)
        sim.run(100_000)
        assert sim.read(copying.STATUS) == 1
        np.testing.assert_array_equal(sim.memory[0x8000:0x9000], before[:0x1000])


def test_corrupted_reads():
    """Across a beat's end: each byte of the range arrives with its lowest bit inverted, memory itself is as before."""
    with copying.simulation(stalled(1)) as sim:
        before = sim.memory.copy()
        sim.inject(0x205, 0x20B, FaultMode.CORRUPT)
        copying.start_copy(sim, 0, 0x8000, 0x1000)
        sim.run(100_000)
        assert sim.read(copying.STATUS) == 1
        expected = before.copy()
        expected[0x8000:0x9000] = before[:0x1000]
        expected[0x8205:0x820B] ^= 1
        np.testing.assert_array_equal(sim.memory, expected)


@pytest.mark.parametrize("reads", [True, False], ids=["read", "write"])
def test_silence(reads):
    with copying.simulation(FAST) as sim:
        before = sim.memory.copy()
        place = 0x208 if reads else 0x8208
        sim.inject(place, place + 8, FaultMode.SILENCE)
        copying.start_copy(sim, 0, 0x8000, 0x1000)
        assert sim.run(20_000) == 20_000
        assert not sim.interrupt
        assert not sim.memory_idle
        sim.clear_faults()
        sim.run(20_000)
        assert sim.interrupt
        np.testing.assert_array_equal(sim.memory[0x8000:0x9000], before[:0x1000])


def test_write_lands_with_its_response():
    """Without stalls a write is not visible before its response: who reads too early sees old data."""
    with copying.simulation(DdrConditions(peak_bytes_per_second=1e12, response_cycles=500)) as sim:
        old = sim.memory[0x8000:0x8008].copy()
        copying.start_copy(sim, 0, 0x8000, 8)
        sim.run(400)
        np.testing.assert_array_equal(sim.memory[0x8000:0x8008], old)
        sim.run(400)
        assert sim.interrupt
        np.testing.assert_array_equal(sim.memory[0x8000:0x8008], sim.memory[:8])


def test_two_simulations_do_not_share_anything():
    with copying.simulation(FAST) as one, copying.simulation(FAST) as two:
        copying.start_copy(one, 0, 0x8000, 0x100, fault=FATAL)
        with pytest.raises(SimulationError):
            one.run(1000)
        copying.start_copy(two, 0, 0x8000, 0x100)
        two.run(1000)
        assert two.interrupt


def test_closed():
    sim = copying.simulation(FAST)
    sim.close()
    sim.close()
    with pytest.raises(SimulationError, match="closed"):
        sim.run(1)


@pytest.mark.parametrize(("field", "value"), [
    ("peak_bytes_per_second", 0), ("efficiency", 0), ("efficiency", 1.5), ("clock_hz", -1), ("latency_cycles", 0),
    ("response_cycles", 0), ("stall_probability", 1.0), ("seed", -1), ("outstanding", 0),
])  # fmt: skip
def test_conditions_out_of_range(field, value):
    with pytest.raises(ConditionsError, match=field):
        DdrConditions(**{field: value})


def test_conditions_in_words():
    text = str(DdrConditions(peak_bytes_per_second=2.1e9, clock_hz=150e6))
    assert text == "75% of 2.1 GB/s, 40 cycles of read latency, 150 MHz"
    assert DdrConditions(peak_bytes_per_second=2.1e9, clock_hz=150e6).bytes_per_cycle == pytest.approx(10.5)

"""What the benches of the engines share: handing instructions over, and a simulator with its testbenches."""

from amaranth.sim import Simulator


async def hand_over(ctx, dut, codes) -> None:
    """Gives an engine its instructions, one when the one before is taken."""
    for code in codes:
        ctx.set(dut.instruction.p, int.from_bytes(code, "little"))
        ctx.set(dut.instruction.valid, 1)
        taken = False
        while not taken:
            _, _, taken = await ctx.tick().sample(dut.instruction.ready)
        ctx.set(dut.instruction.valid, 0)


def simulator_of(dut, benches, background) -> Simulator:
    """A simulator of an engine with testbenches that the run waits for, and others that it does not."""
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    for bench in benches:
        simulator.add_testbench(bench)
    for bench in background:
        simulator.add_testbench(bench, background=True)
    return simulator

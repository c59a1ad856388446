"""Deltas against naive loops over rows, columns, planes and digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intramix.compiler.emit.instructions import Draft, Walk
from intramix.compiler.errors import CompileError
from intramix.compiler.plan.digit_passes import PASSES
from intramix.hdl.instructions import LoadMap, Store, decode
from intramix.hdl.isa import Mode, Token


def walked(compute, base):
    """Addresses as the machine steps through them: one delta, of the loop that advances, at a time."""
    limits = [compute.outputs_y, compute.outputs_x, compute.passes]
    limits += [compute.kernel_y, compute.kernel_x, compute.channels]
    deltas = ["delta_y", "delta_x", "delta_pass", "delta_kernel_y", "delta_kernel_x", "delta_channel"]
    index, address, result = [0] * 6, base, [base]
    while True:
        loop = 5
        while loop >= 0 and index[loop] == limits[loop] - 1:
            index[loop] = 0
            loop -= 1
        if loop < 0:
            return result
        index[loop] += 1
        name = deltas[loop] if loop != 2 else f"delta_pass_{index[2]}"
        address = (address + getattr(compute, name)) % (1 << 16)
        result.append(address)


@given(st.data())
def test_deltas_walk_the_naive_addresses(data):
    small = st.integers(1, 4)
    rows, columns, kernel_y, kernel_x, channels, stride_y, stride_x = (data.draw(small) for _ in range(7))
    pitch = data.draw(st.integers(1, 40))
    plane = data.draw(st.integers(1, 500))
    digits = data.draw(st.sampled_from([(0,), (0, 700), (0, 0), (0, 700, 0, 700), (0, 3, 6)]))
    base = data.draw(st.integers(0, 1000))
    walk = Walk(
        outputs_y=rows,
        outputs_x=columns,
        kernel_y=kernel_y,
        kernel_x=kernel_x,
        channels=channels,
        stride_y=stride_y,
        stride_x=stride_x,
        row_pitch=pitch,
        plane_pitch=plane,
        digits=digits,
    )
    naive = [
        base + digit + channel * plane + (y * stride_y + ky) * pitch + x * stride_x + kx
        for y in range(rows)
        for x in range(columns)
        for digit in digits
        for ky in range(kernel_y)
        for kx in range(kernel_x)
        for channel in range(channels)
    ]
    assert walked(walk.compute(Mode.CONVOLVE), base) == [address % (1 << 16) for address in naive]
    assert walk.steps == len(naive)


@pytest.mark.parametrize(("activations", "weights"), PASSES)
def test_passes_compute_the_product_of_digits(activations, weights):
    """Horner over the passes gives a · w and counts a once, whatever the digits."""
    passes = PASSES[activations, weights]
    for code in range(256 if activations == 2 else 16):
        for weight in range(0, 256, 5) if weights == 2 else range(16):
            code_digits = [code >> 4, code & 15] if activations == 2 else [code]
            weight_digits = [weight >> 4, weight & 15] if weights == 2 else [weight]
            total = count = 0
            for number, digit in enumerate(passes.activation_digit):
                if passes.shift_mask >> number & 1:
                    total, count = total * 16, count * 16
                total += code_digits[digit] * weight_digits[passes.weight_digit_mask >> number & 1]
                count += code_digits[digit] * (passes.count_mask >> number & 1)
            assert (total, count) == (code * weight, code)


def test_field_out_of_range_names_the_layer():
    with pytest.raises(CompileError, match=r"layer 'wide': is beyond the instruction set: LOAD_MAP field row_words"):
        Draft(LoadMap(row_words=5000), "layer 'wide'").encode()


def test_draft_encodes_its_tokens():
    draft = Draft(Store(layer=3), "layer 'a'")
    draft.waits_for(Token.OUTPUT_READY)
    draft.gives(Token.STORED)
    draft.gives(Token.OUTPUT_FREE)
    wait, signal = frozenset({Token.OUTPUT_READY}), frozenset({Token.STORED, Token.OUTPUT_FREE})
    assert decode(draft.encode()) == Store(layer=3, wait=wait, signal=signal)

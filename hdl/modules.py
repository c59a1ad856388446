"""Modules defined once and instantiated many times.

Amaranth emits a Verilog module for every component *object*. An array of equal lanes becomes small Verilog, and fast
C++ in Verilator, only if equal lanes are instances of one definition. A component that is used many times gives itself
a `module_name`, equal for equal hardware (and `parts`, if it makes components before it is elaborated), and its parent
adds it with `place`:

    m.submodules += place(platform, lane)

The parent uses the component's own ports as wires either way. With any ordinary platform (None in Amaranth's simulator)
`place` returns the component itself; with a `ModuleLibrary` as platform, which is how `verilog.generate` elaborates, it
returns an instance of the definition that the library keeps.
"""

import re
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Elaboratable, Instance, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

_CLOCKING = re.compile(r"^  wire .*input \d+ +\\(clk|rst)$", re.MULTILINE)
_TOP = re.compile(r"^attribute \\top 1\n", re.MULTILINE)


def module_name(stem: str, *parameters: object) -> str:
    """A legal module name from a stem and parameter values: lower case, parts joined by underscores."""
    return re.sub(r"[^a-z0-9]+", "_", "_".join([stem, *map(str, parameters)]).lower()).strip("_")


class ModuleLibrary:
    """Definitions collected while a design is elaborated with this object as platform.

    Raises
    ------
    ValueError: two components share a name, but not their class and ports.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._kinds: dict[str, tuple[type, wiring.Signature]] = {}

    @property
    def rtlil(self) -> str:
        """RTLIL of every definition, in the order of first use."""
        return "\n".join(self._texts.values())

    def instance(self, component: Any) -> Instance:
        """An instance of the component's definition, connected to the component's own ports."""
        # Its definition is elaborated once, for the first of its kind; Amaranth must not call the others unused.
        for unused in (component, *getattr(component, "parts", ())):
            unused._MustUse__used = True
        name = component.module_name
        kind = (type(component), component.signature)
        if self._kinds.setdefault(name, kind) != kind:
            raise ValueError(
                f"module name {name!r} stands for {self._kinds[name]!r} and for {kind!r}; put what differs into it"
            )
        if name not in self._texts:
            self._texts[name] = _TOP.sub("", rtlil.convert(component, name, platform=self, emit_src=False))
        text = self._texts[name]
        ports: dict[str, Any] = {}
        for path, member, value in component.signature.flatten(component):
            direction = "i" if member.flow == In else "o"
            ports[f"{direction}_{'__'.join(map(str, path))}"] = Value.cast(value)
        # The component's own module comes first; definitions that it uses were entered on their own.
        own = text[text.index(f"module \\{name}\n") :].split("\nend\n", 1)[0]
        for clocking in _CLOCKING.findall(own):
            ports[f"i_{clocking}"] = ClockSignal() if clocking == "clk" else ResetSignal(allow_reset_less=True)
        return Instance(name, **ports)


def place(platform: object, component: Any) -> Elaboratable:
    """What to add as a submodule for a component that has a `module_name`: itself, or an instance of its definition."""
    return platform.instance(component) if isinstance(platform, ModuleLibrary) else component

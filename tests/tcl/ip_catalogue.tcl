# The IPs of block designs, after their product guides: parameters with their defaults, pins and interfaces.
# contents(IP): a procedure of the cell's configuration that sets `pins` (name, direction, 1 if it must be connected) and
# `interfaces` (name, mode, protocol, data bits; `any` where the IP adapts).
# segments(IP): slave segments of address space by name, with the interface behind which they lie.

set parameters(processing_system7) {
    PCW_USE_M_AXI_GP0 1 PCW_USE_M_AXI_GP1 0 PCW_EN_CLK0_PORT 1 PCW_EN_RST0_PORT 1 PCW_FPGA0_PERIPHERAL_FREQMHZ 50
    PCW_USE_FABRIC_INTERRUPT 0 PCW_IRQ_F2P_INTR 0 preset None
    PCW_USE_S_AXI_HP0 0 PCW_USE_S_AXI_HP1 0 PCW_USE_S_AXI_HP2 0 PCW_USE_S_AXI_HP3 0
    PCW_S_AXI_HP0_DATA_WIDTH 64 PCW_S_AXI_HP1_DATA_WIDTH 64 PCW_S_AXI_HP2_DATA_WIDTH 64 PCW_S_AXI_HP3_DATA_WIDTH 64
    PCW_CRYSTAL_PERIPHERAL_FREQMHZ 33.333333 PCW_UIPARAM_DDR_PARTNO {MT41J128M8 JP-125}
    PCW_UIPARAM_DDR_BUS_WIDTH {32 Bit} PCW_UIPARAM_DDR_FREQ_MHZ 533.333333
}
proc contents(processing_system7) {config} {
    set pins {}
    set interfaces {DDR {master ddr 0} FIXED_IO {master fixed 0}}
    dict with config {
        if {$PCW_EN_CLK0_PORT} { dict set pins FCLK_CLK0 {output 0} }
        if {$PCW_EN_RST0_PORT} { dict set pins FCLK_RESET0_N {output 0} }
        if {$PCW_USE_FABRIC_INTERRUPT && $PCW_IRQ_F2P_INTR} { dict set pins IRQ_F2P {input 0} }
    }
    foreach n {0 1} {
        if {[dict get $config PCW_USE_M_AXI_GP$n]} {
            dict set pins M_AXI_GP${n}_ACLK {input 1}
            dict set interfaces M_AXI_GP$n {master AXI3 32}
        }
    }
    foreach n {0 1 2 3} {
        if {[dict get $config PCW_USE_S_AXI_HP$n]} {
            dict set pins S_AXI_HP${n}_ACLK {input 1}
            dict set interfaces S_AXI_HP$n [list slave AXI3 [dict get $config PCW_S_AXI_HP${n}_DATA_WIDTH]]
        }
    }
    return [list $pins $interfaces]
}
proc segments(processing_system7) {preset} {
    concat {*}[lmap n {0 1 2 3} { list S_AXI_HP$n/HP${n}_DDR_LOWOCM S_AXI_HP$n }]
}

set parameters(zynq_ultra_ps_e) {
    PSU__USE__M_AXI_GP0 1 PSU__USE__M_AXI_GP1 1 PSU__USE__M_AXI_GP2 0 PSU__MAXIGP0__DATA_WIDTH 128
    PSU__FPGA_PL0_ENABLE 1 PSU__CRL_APB__PL0_REF_CTRL__SRCSEL IOPLL PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ 100
    PSU__USE__IRQ0 0
}
foreach n {0 1 2 3 4 5 6} {
    lappend parameters(zynq_ultra_ps_e) PSU__USE__S_AXI_GP$n 0 PSU__SAXIGP${n}__DATA_WIDTH 128
}
set names_of_gp {hpc0_fpd hpc1_fpd hp0_fpd hp1_fpd hp2_fpd hp3_fpd lpd}
proc contents(zynq_ultra_ps_e) {config} {
    set pins {pl_resetn0 {output 0}}
    set interfaces {}
    if {[dict get $config PSU__FPGA_PL0_ENABLE]} { dict set pins pl_clk0 {output 0} }
    if {[dict get $config PSU__USE__IRQ0]} { dict set pins pl_ps_irq0 {input 0} }
    foreach {n name} {0 hpm0_fpd 1 hpm1_fpd 2 hpm0_lpd} {
        if {[dict get $config PSU__USE__M_AXI_GP$n]} {
            dict set pins maxi${name}_aclk {input 1}
            set bits [expr {$n ? 128 : [dict get $config PSU__MAXIGP0__DATA_WIDTH]}]
            dict set interfaces M_AXI_[string toupper $name] [list master AXI4 $bits]
        }
    }
    for {set n 0} {$n < 7} {incr n} {
        if {[dict get $config PSU__USE__S_AXI_GP$n]} {
            set name [lindex $::names_of_gp $n]
            dict set pins [expr {$n < 6 ? "saxi${name}_aclk" : "saxi_lpd_aclk"}] {input 1}
            dict set interfaces S_AXI_[string toupper $name] \
                [list slave AXI4 [dict get $config PSU__SAXIGP${n}__DATA_WIDTH]]
        }
    }
    return [list $pins $interfaces]
}
# Memory above 2 GB is known from a board's preset alone.
proc segments(zynq_ultra_ps_e) {preset} {
    set found {}
    for {set n 0} {$n < 7} {incr n} {
        set name [string toupper [lindex $::names_of_gp $n]]
        foreach segment [expr {$preset ? {DDR_LOW DDR_HIGH QSPI LPS_OCM} : {DDR_LOW QSPI LPS_OCM}}] {
            lappend found SAXIGP$n/[string map {_FPD ""} $name]_$segment S_AXI_$name
        }
    }
    return $found
}

set parameters(smartconnect) {NUM_SI 2 NUM_MI 1 NUM_CLKS 1}
proc contents(smartconnect) {config} {
    set interfaces {}
    dict with config {
        for {set n 0} {$n < $NUM_SI} {incr n} { dict set interfaces [format S%02d_AXI $n] {slave any any} }
        for {set n 0} {$n < $NUM_MI} {incr n} { dict set interfaces [format M%02d_AXI $n] {master any any} }
    }
    return [list {aclk {input 1} aresetn {input 1}} $interfaces]
}

set parameters(axi_protocol_converter) {SI_PROTOCOL AXI4 MI_PROTOCOL AXI4LITE TRANSLATION_MODE 2}
proc contents(axi_protocol_converter) {config} {
    dict with config {
        return [list {aclk {input 1} aresetn {input 1}} \
            [list S_AXI [list slave $SI_PROTOCOL any] M_AXI [list master $MI_PROTOCOL any]]]
    }
}

set parameters(axi_intc) {C_IRQ_CONNECTION 0}
proc contents(axi_intc) {config} {
    set pins {s_axi_aclk {input 1} s_axi_aresetn {input 1} intr {input 1}}
    if {[dict get $config C_IRQ_CONNECTION]} { dict set pins irq {output 0} }
    return [list $pins {s_axi {slave AXI4LITE 32}}]
}
proc segments(axi_intc) {preset} { return {S_AXI/Reg s_axi} }

set parameters(proc_sys_reset) {C_EXT_RST_WIDTH 4}
proc contents(proc_sys_reset) {config} {
    return [list {
        slowest_sync_clk {input 1} ext_reset_in {input 1} aux_reset_in {input 0} mb_debug_sys_rst {input 0}
        dcm_locked {input 0} mb_reset {output 0} bus_struct_reset {output 0} peripheral_reset {output 0}
        interconnect_aresetn {output 0} peripheral_aresetn {output 0}
    } {}]
}

# The IP that the script packaged itself.
proc contents(packaged) {config} {
    set pins {}
    foreach {name direction} $::core_pins { dict set pins $name [list $direction [expr {$direction eq "input"}]] }
    return [list $pins $::core_interfaces]
}
proc segments(packaged) {preset} { return {s_axi/reg0 s_axi} }

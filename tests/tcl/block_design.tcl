# IP integrator: cells, connections and addresses, with what validate_bd_design would find.
# cells(NAME): its IP; config(NAME): its parameters; driver(CELL/PIN): what drives it; peer(CELL/INTERFACE): its other end.
set design ""
set preset 0

proc cell_of {path} { lindex [split [string trimleft $path /] /] 0 }
proc item_of {path} { join [lrange [split [string trimleft $path /] /] 1 end] / }
proc contents_of {cell} { contents($::cells($cell)) $::config($cell) }
proc must_have_design {} { must {$::design ne ""} "no block design is open" }

command create_bd_design {} 1 1 { in_project; set ::design [lindex $words 0]; set ::stage design }
command create_bd_cell {-type= -vlnv=} 1 1 {
    must_have_design
    must {$option(-type) eq "ip"} "no cells of type $option(-type)"
    set name [lindex $words 0]
    must {![info exists ::cells($name)]} "cell $name is there already"
    if {[info exists ::packaged] && $option(-vlnv) eq $::packaged} {
        set ::cells($name) packaged
        set ::config($name) {}
    } else {
        must {[regexp {^xilinx\.com:ip:(\w+)$} $option(-vlnv) _ ip] && [info exists ::parameters($ip)]} "no IP $option(-vlnv)"
        set ::cells($name) $ip
        set ::config($name) $::parameters($ip)
    }
    return /$name
}
command get_bd_cells {} 1 1 { must {[info exists ::cells([lindex $words 0])]} "no cell [lindex $words 0]"; return /[lindex $words 0] }
proc configure_cell {name value object} {
    set cell [cell_of $object]
    must {[regexp {^CONFIG\.(.*)} $name _ parameter]} "a cell has no property $name"
    must {[dict exists $::config($cell) $parameter]} "$::cells($cell) has no parameter $parameter"
    dict set ::config($cell) $parameter $value
}
command apply_bd_automation {-rule= -config=} 1 1 {
    set ip [lindex [split $option(-rule) :] 2]
    must {$option(-rule) eq "xilinx.com:bd_rule:$::cells([cell_of [lindex $words 0]])"} "no rule $option(-rule) for [lindex $words 0]"
    must {[llength $option(-config)] % 2 == 0} "not pairs: $option(-config)"
    set ::preset [dict get $option(-config) apply_board_preset]
    must {!$::preset || [info exists ::project_property(board_part)]} "the project has no board whose preset could be applied"
    if {$ip eq "processing_system7"} {
        must {[dict get $option(-config) make_external] eq "FIXED_IO, DDR"} "the pads are not made external"
        foreach interface {DDR FIXED_IO} { set ::peer(system/$interface) external }
    }
}

# Pins and interfaces
command get_bd_pins {} 1 1 {
    set path [lindex $words 0]
    must {[info exists ::cells([cell_of $path])]} "no cell [cell_of $path]"
    must {[dict exists [lindex [contents_of [cell_of $path]] 0] [item_of $path]]} "no pin $path"
    return /$path
}
command get_bd_intf_pins {} 1 1 {
    set path [lindex $words 0]
    must {[info exists ::cells([cell_of $path])]} "no cell [cell_of $path]"
    must {[dict exists [lindex [contents_of [cell_of $path]] 1] [item_of $path]]} "no interface $path"
    return /$path
}
command connect_bd_net {} 2 end {
    set drivers {}
    set loads {}
    foreach path $words {
        must {$path ne ""} "connect_bd_net: an empty pin"
        set path [string trimleft $path /]
        lassign [dict get [lindex [contents_of [cell_of $path]] 0] [item_of $path]] direction
        if {$direction eq "output"} { lappend drivers $path } else { lappend loads $path }
    }
    must {[llength $drivers] == 1} "a net has [llength $drivers] drivers: $words"
    foreach load $loads {
        must {![info exists ::driver($load)]} "$load is driven already"
        set ::driver($load) $drivers
    }
}
proc interface {path} { dict get [lindex [contents_of [cell_of $path]] 1] [item_of $path] }
command connect_bd_intf_net {} 2 2 {
    lassign [lmap path $words { string trimleft $path / }] master slave
    lassign [interface $master] mode protocol bits
    lassign [interface $slave] other_mode other_protocol other_bits
    must {$mode eq "master" && $other_mode eq "slave"} "$master is $mode, $slave is $other_mode"
    must {$protocol eq $other_protocol || "any" in "$protocol $other_protocol"} "$master is $protocol, $slave is $other_protocol"
    must {$bits eq $other_bits || "any" in "$bits $other_bits"} "$master has $bits bits, $slave has $other_bits"
    foreach {one other} [list $master $slave $slave $master] {
        must {![info exists ::peer($one)]} "$one is connected already"
        set ::peer($one) $other
    }
}

# Addresses
command get_bd_addr_spaces {} 1 1 {
    set path [lindex $words 0]
    must {[item_of $path] eq "Data" || [lindex [interface $path] 0] eq "master"} "no address space $path"
    return /$path
}
command get_bd_addr_segs {-quiet} 1 1 {
    set path [lindex $words 0]
    if {[dict exists [segments($::cells([cell_of $path])) $::preset] [item_of $path]]} { return /$path }
    must {[info exists option(-quiet)]} "no segment $path"
    return ""
}
# Slave interfaces that a master interface reaches, through interconnects.
proc reached {master} {
    must {[info exists ::peer($master)]} "$master is not connected"
    set cell [cell_of $::peer($master)]
    if {$::cells($cell) ni {smartconnect axi_protocol_converter}} { return [list $::peer($master)] }
    set found {}
    dict for {name kind} [lindex [contents_of $cell] 1] {
        if {[lindex $kind 0] eq "master"} { lappend found {*}[reached $cell/$name] }
    }
    return $found
}
# Master interfaces of an address space.
proc masters_of {space} {
    if {[item_of $space] ne "Data"} { return [list [string trimleft $space /]] }
    set found {}
    dict for {name kind} [lindex [contents_of [cell_of $space]] 1] {
        if {[string match M_AXI_* $name]} { lappend found [cell_of $space]/$name }
    }
    return $found
}
command assign_bd_address {-offset= -range= -target_address_space= -force} 1 1 {
    set space $option(-target_address_space)
    set segment [lindex $words 0]
    set slave [cell_of $segment]/[dict get [segments($::cells([cell_of $segment])) $::preset] [item_of $segment]]
    set slaves [concat {*}[lmap master [masters_of $space] { reached $master }]]
    must {$slave in $slaves} "$segment is not reached from $space"
    must {![info exists ::address($space,$segment)]} "$segment is assigned already"
    if {[info exists option(-offset)]} {
        must {$option(-offset) % $option(-range) == 0} "$segment: $option(-offset) is no multiple of $option(-range)"
        foreach {key range} [array get ::address $space,*] {
            lassign $range base size
            must {$option(-offset) >= $base + $size || $option(-offset) + $option(-range) <= $base} "$segment overlaps $key"
        }
        set ::address($space,$segment) [list $option(-offset) $option(-range)]
    } else {
        set ::address($space,$segment) {0 0}
    }
}
command exclude_bd_addr_seg {-target_address_space=} 1 1 {
    set key $option(-target_address_space),[lindex $words 0]
    must {![info exists ::address($key)]} "[lindex $words 0] is assigned already"
    set ::address($key) {0 0}
}
command validate_bd_design {} 0 0 {
    must_have_design
    foreach {cell ip} [array get ::cells] {
        lassign [contents_of $cell] pins interfaces
        dict for {pin kind} $pins {
            must {![lindex $kind 1] || [info exists ::driver($cell/$pin)]} "pin $cell/$pin is not connected"
        }
        dict for {name kind} $interfaces { must {[info exists ::peer($cell/$name)]} "interface $cell/$name is not connected" }
        dict for {name kind} $interfaces {
            if {[lindex $kind 0] ne "master" || $ip ni {packaged processing_system7 zynq_ultra_ps_e}} { continue }
            if {$::peer($cell/$name) eq "external"} { continue }
            set space [expr {$ip eq "packaged" ? "/$cell/$name" : "/$cell/Data"}]
            foreach slave [reached $cell/$name] {
                set owner [cell_of $slave]
                dict for {segment interface} [segments($::cells($owner)) $::preset] {
                    must {$interface ne [item_of $slave] || [info exists ::address($space,/$owner/$segment)]} \
                        "$owner/$segment is neither mapped nor excluded in $space"
                }
            }
        }
    }
    set ::stage validated
}
command save_bd_design {} 0 0 { must_have_design }
command generate_target {} 2 2 {
    advance validated generated
    write_text $::directory/$::project.gen/sources_1/bd/$::design/hw_handoff/$::design.hwh
}
command make_wrapper {-files= -top} 0 0 {
    must {$option(-files) eq "$::design.bd"} "no block design $option(-files)"
    set path $::directory/$::project.gen/sources_1/bd/$::design/hdl/${::design}_wrapper.v
    write_text $path "module ${::design}_wrapper ();\nendmodule\n"
    return $path
}

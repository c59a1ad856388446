# Vivado's IP packager: interfaces come from the attributes of the top module's ports.
set core ""

command ipx::package_project {-root_dir= -vendor= -library= -taxonomy= -import_files -force} 0 0 {
    in_project
    must {$::top ne ""} "the project has no top module"
    set ::core [list vendor $option(-vendor) library $option(-library) name $::top version 1.0]
    set ::core_folder $option(-root_dir)
    set ::core_pins {}
    set ::core_interfaces {}
    set ::core_clocked {}
    foreach {line bus signal names parameters direction port} [regexp -all -inline -expanded {
        \(\*\ X_INTERFACE_INFO\ =\ "(\S+\ \S+)\ (\S+)"\ \*\)\s+
        (\(\*\ X_INTERFACE_PARAMETER\ =\ "XIL_INTERFACENAME\ ([^"]*)"\ \*\)\s+)?
        (input|output)\ wire\ (?:\[\d+:0\]\ )?(\w+)
    } [module_text $::top]] {
        lassign $bus kind name
        if {[string match *:aximm:* $kind]} {
            must {$port eq "${name}_[string tolower $signal]"} "port $port is marked as $signal of $name"
            if {$parameters ne ""} {
                set values [concat {*}[lmap pair [lrange [split $parameters ,] 1 end] { string trim $pair }]]
                set mode [expr {$direction eq "input" ? "slave" : "master"}]
                dict set ::core_interfaces $name \
                    [list $mode [dict get $values PROTOCOL] [dict get $values DATA_WIDTH]]
            }
            must {[dict exists $::core_interfaces $name]} "interface $name has no parameters"
        } else {
            dict set ::core_pins $port $direction
        }
    }
    set declared [regexp -all -inline {(?:input|output) wire} [module_text $::top]]
    set marked [regexp -all -inline {X_INTERFACE_INFO} [module_text $::top]]
    must {[llength $declared] == [llength $marked]} "[llength $declared] ports, [llength $marked] marked"
    must_be_complete
}
command ipx::current_core {} 0 0 { must {$::core ne ""} "no core is open"; return ipx/core }
command ipx::get_bus_interfaces {-of_objects=} 1 1 {
    return [expr {[dict exists $::core_interfaces [lindex $words 0]] ? "ipx/bus/[lindex $words 0]" : ""}]
}
command ipx::associate_bus_interfaces {-busif= -clock= -reset=} 1 1 {
    must {[dict exists $::core_pins $option(-clock)]} "no clock $option(-clock)"
    if {[info exists option(-busif)]} {
        must {[dict exists $::core_interfaces $option(-busif)]} "no interface $option(-busif)"
        lappend ::core_clocked $option(-busif)
    } else {
        must {[dict exists $::core_pins $option(-reset)]} "no reset $option(-reset)"
    }
}
command ipx::get_memory_maps {-of_objects=} 1 1 { return [expr {[lindex $words 0] eq "s_axi" ? "ipx/map" : ""}] }
command ipx::add_memory_map {} 2 2 { return ipx/map }
command ipx::get_address_blocks {-of_objects=} 1 1 { return [expr {[lindex $words 0] eq "reg0" ? "ipx/block" : ""}] }
command ipx::add_address_block {} 2 2 { return ipx/block }
command ipx::add_register {} 2 2 {
    must {[lindex $words 1] eq "ipx/block"} "[lindex $words 1] is no address block"
    must {![info exists ::register([lindex $words 0])]} "register [lindex $words 0] is there already"
    set ::register([lindex $words 0]) {}
    return ipx/register/[lindex $words 0]
}
proc ip_property {name value object} {
    if {$object eq "ipx/core"} {
        must {$name in {name version display_name description core_revision}} "a core has no property $name"
        if {$name in {name version}} { dict set ::core $name $value }
    } elseif {$object eq "ipx/block"} {
        must {$name in {range usage}} "an address block has no property $name"
    } elseif {[regexp {^ipx/register/(.*)} $object _ register]} {
        must {$name in {address_offset size description}} "a register has no property $name"
        dict set ::register($register) $name $value
    } else {
        must {$name eq "slave_memory_map_ref"} "$object has no property $name"
    }
}
foreach name {create_xgui_files update_checksums check_integrity} { command ipx::$name {} 1 1 {} }
command ipx::save_core {} 1 1 {
    foreach interface [dict keys $::core_interfaces] {
        must {$interface in $::core_clocked} "no clock is associated with $interface"
    }
    foreach {name properties} [array get ::register] {
        must {[dict get $properties size] == 32 && [dict get $properties address_offset] % 4 == 0} "register $name: $properties"
    }
    write_text $::core_folder/component.xml
}
command update_ip_catalog {} 0 0 {
    must {[info exists ::project_property(ip_repo_paths)]} "the project has no ip_repo_paths"
    dict with ::core { set ::packaged $vendor:$library:$name:$version }
}

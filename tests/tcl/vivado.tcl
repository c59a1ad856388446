# Vivado's commands as far as Intramix's scripts use them. Block designs are in block_design.tcl, the IPs that they may
# instantiate in ip_catalogue.tcl. What this Vivado knows comes from the environment: PARTS and BOARD_PARTS;
# PROGRESS is how far the implementation gets.
source -encoding utf-8 $here/ip_packager.tcl
source -encoding utf-8 $here/ip_catalogue.tcl
source -encoding utf-8 $here/block_design.tcl

set parts $env(PARTS)
set board_parts $env(BOARD_PARTS)
set progress [expr {[info exists env(PROGRESS)] ? $env(PROGRESS) : "100%"}]
set project ""
set stage ""

proc in_project {} { must {$::project ne ""} "no project is open" }

# Moves on to a stage of the build that must follow another.
proc advance {from to} {
    must {$::stage in $from} "$to comes after [join $from { or }], not after '$::stage'"
    set ::stage $to
}

proc write_text {path {text ""}} {
    file mkdir [file dirname $path]
    set channel [open $path w]
    puts -nonewline $channel $text
    close $channel
}

proc read_text {path} {
    set channel [open $path]
    fconfigure $channel -encoding utf-8
    set text [read $channel]
    close $channel
    return $text
}

# Projects and files
command create_project {-force -name= -part=} 0 2 {
    must {$::project eq ""} "project $::project is still open"
    must {$option(-part) in $::parts} "unknown part: $option(-part)"
    set ::project [expr {[info exists option(-name)] ? $option(-name) : [lindex $words 0]}]
    set ::directory [expr {[llength $words] > 1 ? [lindex $words 1] : "."}]
    array unset ::sources
    array unset ::module
    set ::top ""
    set ::stage project
}
command close_project {} 0 0 { in_project; set ::project "" }
command current_project {} 0 0 { in_project; return project }
command current_fileset {} 0 0 { in_project; return sources_1 }
command add_files {-norecurse} 1 1 {
    in_project
    must_exist [lindex $words 0]
    foreach file [lindex $words 0] {
        set ::sources($file) [read_text $file]
        read_modules $::sources($file)
    }
}
command update_compile_order {-fileset=} 0 0 { must {$option(-fileset) eq "sources_1"} "no fileset $option(-fileset)" }
command get_files {} 1 1 {
    must {[lindex $words 0] eq "$::design.bd"} "no file [lindex $words 0] in the project"
    return [lindex $words 0]
}
command get_board_parts {-quiet -latest_file_version} 1 1 { return [lsearch -all -inline $::board_parts [lindex $words 0]] }
command set_property {-dict=} 1 3 { return [apply_properties [array get option] $words] }
command get_property {} 2 2 {
    switch [lindex $words 0] {
        PROGRESS { return $::progress }
        STATUS { return [expr {$::progress eq "100%" ? "write_bitstream Complete!" : "route_design ERROR"}] }
        DIRECTORY { return [file normalize $::directory/$::project.runs/impl_1] }
        default { error "[lindex $words 1] has no property [lindex $words 0]" }
    }
}

# set_property NAME VALUE OBJECT, or set_property -dict {NAME VALUE …} OBJECT
proc apply_properties {option words} {
    if {[dict exists $option -dict]} {
        set pairs [dict get $option -dict]
        set object [lindex $words 0]
    } else {
        set pairs [lrange $words 0 1]
        set object [lindex $words 2]
    }
    must {$object ne ""} "set_property: no object for $pairs"
    must {[llength $pairs] % 2 == 0} "set_property: not pairs: $pairs"
    foreach {name value} $pairs {
        if {$object eq "project"} {
            switch $name {
                board_part { must {$value in $::board_parts} "unknown board part: $value" }
                ip_repo_paths { must {[file isfile $value/component.xml]} "no IP in $value" }
                default { error "a project has no property $name" }
            }
            set ::project_property($name) $value
        } elseif {$object eq "sources_1"} {
            must {$name eq "top"} "a fileset has no property $name"
            must {[module_text $value] ne ""} "no module $value in the project's files"
            set ::top $value
        } elseif {[string match ipx/* $object]} {
            ip_property $name $value $object
        } else {
            configure_cell $name $value $object
        }
    }
}

# Verilog, as far as names go
proc read_modules {text} {
    set name ""
    foreach line [split $text \n] {
        if {[regexp {^module +\\?([^\s(]+)} $line _ name]} { set ::module($name) "" }
        if {$name ne ""} { append ::module($name) $line \n }
        if {[string match endmodule* $line]} { set name "" }
    }
}
proc module_text {name} { return [expr {[info exists ::module($name)] ? $::module($name) : ""}] }
set primitives {PS7 PS8 BUFG FDPE DSP48E1 DSP48E2}
set keywords {module if else begin always assign case casez casex for input output inout wire reg initial endcase}
# Kind and name of every instance; the name is empty where parameters come between the two.
proc instances {text} {
    set found {}
    foreach {line kind name} [regexp -all -inline -line {^ +\\?(\S+) +(?:#\(|\\?(\S+) +\()$} $text] {
        if {$kind ni $::keywords && $kind ne ")"} { lappend found $kind $name }
    }
    return $found
}
proc must_be_complete {} {
    foreach {file text} [array get ::sources] {
        foreach {kind name} [instances $text] {
            must {$kind in $::primitives || [module_text $kind] ne ""} "$file: module $kind is not defined"
        }
    }
}
# The text of an attribute of Amaranth's, where any cell has it.
proc has_attribute {filter} {
    regexp {amaranth\.vivado\.(\w+)} $filter _ name
    foreach {file text} [array get ::sources] {
        if {[string match "*(\\* \\\\amaranth.vivado.$name *" $text]} { return 1 }
    }
    return 0
}

# Constraints
command read_xdc {} 1 1 { in_project; must_exist $words; interp eval tool [list source [lindex $words 0]] }
command create_clock {-name= -period=} 1 1 {
    must {$option(-period) > 0} "the period is $option(-period)"
    lappend ::clocks [lindex $words 0]
}
command get_nets {} 1 1 {
    set path [split [lindex $words 0] /]
    set text [module_text $::project]
    foreach cell [lrange $path 0 end-1] {
        set kind ""
        foreach {each name} [instances $text] { if {$name eq $cell} { set kind $each } }
        must {$kind ne ""} "no cell $cell on the way to [lindex $words 0]"
        set text [module_text $kind]
    }
    must {[regexp -line "^ +wire (\\\[.*\\\] )?[lindex $path end];" $text]} "no net [lindex $words 0]"
    return [lindex $words 0]
}
command get_cells {-quiet -hier -filter=} 0 1 {
    if {[llength $words]} { return [lindex $words 0] }
    return [expr {[has_attribute $option(-filter)] ? "reset/stage0" : ""}]
}
command get_pins {-of= -filter=} 0 0 { must {$option(-of) ne ""} "get_pins: no cells"; return $option(-of)/PRE }
command set_false_path {-to=} 0 0 { must {$option(-to) ne ""} "set_false_path: nothing given" }

# Synthesis and implementation without runs
command synth_design {-top=} 0 0 {
    must {[module_text $option(-top)] ne ""} "no module $option(-top)"
    must_be_complete
    must {[llength $::clocks]} "no clock is constrained"
    advance project synth
}
command opt_design {} 0 0 { advance synth opt }
command place_design {} 0 0 { advance opt place }
command route_design {} 0 0 { advance place route }
command phys_opt_design {} 0 0 { advance route route }
foreach report {io control_sets clock_utilization route_status drc methodology utilization timing_summary power} {
    command report_$report {-file= -hierarchical -verbose -no_header -no_detailed_paths -datasheet -max_paths=} 0 0 {
        must {$::stage in {synth opt place route}} "nothing to report after '$::stage'"
        if {[info exists option(-file)]} { write_text $option(-file) "report\n" }
    }
}
command write_checkpoint {-force} 1 1 { write_text [lindex $words 0] }
command write_bitstream {-force -bin_file} 1 1 { advance route bitstream; write_text [lindex $words 0] }
command quit {} 0 0 { puts REACHED; exit 0 }

# Runs
command get_runs {} 1 1 { must {[lindex $words 0] eq "impl_1"} "no run [lindex $words 0]"; return impl_1 }
command launch_runs {-to_step= -jobs=} 1 1 {
    must {$::top ne ""} "the project has no top module"
    must {$option(-to_step) eq "write_bitstream"} "no step $option(-to_step)"
    advance generated launched
}
command wait_on_run {} 1 1 {
    advance launched ran
    write_text $::directory/$::project.runs/impl_1/$::top.bit
}
command open_run {} 1 1 { advance ran route }
command write_hw_platform {-fixed -include_bit -force -file=} 0 0 {
    must {$::stage eq "route"} "the platform is written from an open implementation"
    write_text $option(-file)
}

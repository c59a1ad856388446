# tclsh run.tcl STUBS SCRIPT: sources a script with a tool's commands stubbed. `REACHED` is printed if it returns.
lassign $argv stubs script
set here [file dirname [file normalize [info script]]]
interp create tool
source -encoding utf-8 $here/recording.tcl
source -encoding utf-8 $here/$stubs.tcl
interp eval tool [list source -encoding utf-8 $script]
puts REACHED

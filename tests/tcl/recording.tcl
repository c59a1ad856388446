# What all stubs share: commands that check their arguments and record themselves on stdout, one Tcl list a line.
# An unknown command is an error of tclsh itself; a command named in the environment's FAILING fails.
# Scripts run in an interpreter of their own, `tool`, so that their variables are not the stubs'.

set failing [expr {[info exists env(FAILING)] ? $env(FAILING) : ""}]

proc record {name arguments} {
    puts "RECORD [list $name {*}$arguments]"
    if {$name eq $::failing} { error "the tool refuses" }
}

# command NAME OPTIONS LEAST MOST BODY: declares a command of a tool.
# OPTIONS: `-flag`, or `-key=` for one that takes a value; LEAST and MOST: how many other words it takes (`end`: any).
# BODY sees the options as `option(-key)` (a flag that was given is 1) and the other words as `words`.
proc command {name options least most body} {
    set head [list $name $options $least $most]
    namespace eval ::[namespace qualifiers $name] {}
    interp eval tool [list namespace eval ::[namespace qualifiers $name] {}]
    interp alias tool $name {} $name
    proc ::$name args "
        lassign \[parse $head \$args] given words
        array set option \$given
        record $name \$args
        $body"
}

proc parse {name options least most arguments} {
    set given {}
    set words {}
    while {[llength $arguments]} {
        set arguments [lassign $arguments word]
        if {[string match {-[a-zA-Z]*} $word]} {
            if {"$word=" in $options} {
                if {![llength $arguments]} { error "$name: option $word needs a value" }
                set arguments [lassign $arguments value]
                lappend given $word $value
            } elseif {$word in $options} {
                lappend given $word 1
            } else {
                error "$name: unknown option $word"
            }
        } else {
            lappend words $word
        }
    }
    set count [llength $words]
    if {$count < $least || ($most ne "end" && $count > $most)} {
        error "$name: $count words, not $least … $most: $words"
    }
    return [list $given $words]
}

proc must {condition message} {
    if {![uplevel 1 [list expr $condition]]} { error $message }
}

proc must_exist {files} {
    foreach file $files { must {[file isfile $file]} "no such file: $file" }
}

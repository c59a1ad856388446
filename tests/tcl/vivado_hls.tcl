# The commands of Vivado HLS and Vitis HLS that the kernels' scripts use.
command open_project {-reset} 1 1 {}
command set_top {} 1 1 {}
command add_files {-tb -cflags=} 1 1 { must_exist $words }
command open_solution {-reset} 1 1 {}
command set_part {} 1 1 {}
command create_clock {-period= -name=} 0 0 { must {$option(-period) > 0} "the period is $option(-period)" }
command csim_design {-O -argv=} 0 0 {}
command csynth_design {} 0 0 {}
command cosim_design {-O -rtl= -argv=} 0 0 {}
command export_design {-format= -vendor= -library= -ipname= -version= -display_name=} 0 0 {}

// Simulation models of DSP48E1 and DSP48E2 for the netlists of this project: P = A * B [+ C | + PCIN], one or two input
// registers, product and result registers, no reset. Exact in these modes; anything else stops the simulation.
// Only the ports that carry something in these modes are modelled beyond their declaration.
// (Xilinx UG479, 7 Series DSP48E1 Slice; UG579, UltraScale Architecture DSP Slice.)

module DSP48E1 (
    input signed [29:0] A, input [29:0] ACIN, input [3:0] ALUMODE, input signed [17:0] B, input [17:0] BCIN,
    input [47:0] C, input CARRYCASCIN, CARRYIN, input [2:0] CARRYINSEL,
    input CEA1, CEA2, CEAD, CEALUMODE, CEB1, CEB2, CEC, CECARRYIN, CECTRL, CED, CEINMODE, CEM, CEP, CLK,
    input [24:0] D, input [4:0] INMODE, input MULTSIGNIN, input [6:0] OPMODE, input [47:0] PCIN,
    input RSTA, RSTALLCARRYIN, RSTALUMODE, RSTB, RSTC, RSTCTRL, RSTD, RSTINMODE, RSTM, RSTP,
    output [47:0] P, output [47:0] PCOUT
);
    parameter ACASCREG = 1, ADREG = 1, ALUMODEREG = 1, AREG = 1, AUTORESET_PATDET = "NO_RESET", A_INPUT = "DIRECT",
        BCASCREG = 1, BREG = 1, B_INPUT = "DIRECT", CARRYINREG = 1, CARRYINSELREG = 1, CREG = 1, DREG = 1,
        INMODEREG = 1, MASK = 48'h3FFFFFFFFFFF, MREG = 1, OPMODEREG = 1, PATTERN = 48'h0, PREG = 1,
        SEL_MASK = "MASK", SEL_PATTERN = "PATTERN", USE_DPORT = "FALSE", USE_MULT = "MULTIPLY",
        USE_PATTERN_DETECT = "NO_PATDET", USE_SIMD = "ONE48";

    initial if (USE_DPORT != "FALSE") $fatal(1, "DSP48E1 model: USE_DPORT must be FALSE");

    intramix_multiply_add #(
        .A_BITS(25), .AREG(AREG), .BREG(BREG), .CREG(CREG), .MREG(MREG), .PREG(PREG), .OPMODEREG(OPMODEREG),
        .ALUMODEREG(ALUMODEREG), .INMODEREG(INMODEREG), .CARRYINREG(CARRYINREG), .CARRYINSELREG(CARRYINSELREG),
        .A_INPUT(A_INPUT), .B_INPUT(B_INPUT), .USE_MULT(USE_MULT), .USE_SIMD(USE_SIMD)
    ) core (
        .clk(CLK), .a(A[24:0]), .b(B), .c(C), .pcin(PCIN), .opmode({2'b00, OPMODE}),
        .ce({CEA1, CEA2, CEB1, CEB2, CEC, CEM, CEP}),
        .other({ALUMODE, INMODE, CARRYIN, CARRYINSEL, RSTA, RSTB, RSTC, RSTM, RSTP, RSTALLCARRYIN,
            RSTALUMODE, RSTCTRL, RSTINMODE}),
        .p(P)
    );
    assign PCOUT = P;
endmodule

module DSP48E2 (
    input signed [29:0] A, input [29:0] ACIN, input [3:0] ALUMODE, input signed [17:0] B, input [17:0] BCIN,
    input [47:0] C, input CARRYCASCIN, CARRYIN, input [2:0] CARRYINSEL,
    input CEA1, CEA2, CEAD, CEALUMODE, CEB1, CEB2, CEC, CECARRYIN, CECTRL, CED, CEINMODE, CEM, CEP, CLK,
    input [26:0] D, input [4:0] INMODE, input MULTSIGNIN, input [8:0] OPMODE, input [47:0] PCIN,
    input RSTA, RSTALLCARRYIN, RSTALUMODE, RSTB, RSTC, RSTCTRL, RSTD, RSTINMODE, RSTM, RSTP,
    output [47:0] P, output [47:0] PCOUT
);
    parameter ACASCREG = 1, ADREG = 1, ALUMODEREG = 1, AMULTSEL = "A", AREG = 1, AUTORESET_PATDET = "NO_RESET",
        A_INPUT = "DIRECT", BCASCREG = 1, BMULTSEL = "B", BREG = 1, B_INPUT = "DIRECT", CARRYINREG = 1,
        CARRYINSELREG = 1, CREG = 1, DREG = 1, INMODEREG = 1, MASK = 48'h3FFFFFFFFFFF, MREG = 1, OPMODEREG = 1,
        PATTERN = 48'h0, PREADDINSEL = "A", PREG = 1, SEL_MASK = "MASK", SEL_PATTERN = "PATTERN",
        USE_MULT = "MULTIPLY", USE_PATTERN_DETECT = "NO_PATDET", USE_SIMD = "ONE48", USE_WIDEXOR = "FALSE";

    initial if (AMULTSEL != "A" || BMULTSEL != "B") $fatal(1, "DSP48E2 model: the multiplier takes A and B");

    intramix_multiply_add #(
        .A_BITS(27), .AREG(AREG), .BREG(BREG), .CREG(CREG), .MREG(MREG), .PREG(PREG), .OPMODEREG(OPMODEREG),
        .ALUMODEREG(ALUMODEREG), .INMODEREG(INMODEREG), .CARRYINREG(CARRYINREG), .CARRYINSELREG(CARRYINSELREG),
        .A_INPUT(A_INPUT), .B_INPUT(B_INPUT), .USE_MULT(USE_MULT), .USE_SIMD(USE_SIMD)
    ) core (
        .clk(CLK), .a(A[26:0]), .b(B), .c(C), .pcin(PCIN), .opmode(OPMODE),
        .ce({CEA1, CEA2, CEB1, CEB2, CEC, CEM, CEP}),
        .other({ALUMODE, INMODE, CARRYIN, CARRYINSEL, RSTA, RSTB, RSTC, RSTM, RSTP, RSTALLCARRYIN,
            RSTALUMODE, RSTCTRL, RSTINMODE}),
        .p(P)
    );
    assign PCOUT = P;
endmodule

module intramix_multiply_add #(
    parameter A_BITS = 25, AREG = 1, BREG = 1, CREG = 1, MREG = 1, PREG = 1, OPMODEREG = 0, ALUMODEREG = 0,
        INMODEREG = 0, CARRYINREG = 0, CARRYINSELREG = 0, A_INPUT = "DIRECT", B_INPUT = "DIRECT",
        USE_MULT = "MULTIPLY", USE_SIMD = "ONE48"
) (
    input clk, input signed [A_BITS-1:0] a, input signed [17:0] b, input [47:0] c, pcin, input [8:0] opmode,
    input [6:0] ce, input [21:0] other, output reg [47:0] p
);
    localparam [6:0] REQUIRED_CE = AREG == 2 ? 7'b1111011 : 7'b0101011;

    initial begin
        if ((AREG != 1 && AREG != 2) || BREG != AREG || CREG != 1 || MREG != 1 || PREG != 1)
            $fatal(1, "DSP48 model: registers must be A = B = 1 or 2, C = M = P = 1");
        if (OPMODEREG != 0 || ALUMODEREG != 0 || INMODEREG != 0 || CARRYINREG != 0 || CARRYINSELREG != 0)
            $fatal(1, "DSP48 model: control inputs must not be registered");
        if (A_INPUT != "DIRECT" || B_INPUT != "DIRECT" || USE_MULT != "MULTIPLY" || USE_SIMD != "ONE48")
            $fatal(1, "DSP48 model: A and B must be direct, the multiplier in use, the adder 48 bits wide");
    end

    reg checked = 0;
    always @(posedge clk) if (!checked) begin
        checked <= 1;
        if (opmode != 9'h005 && opmode != 9'h015 && opmode != 9'h035)
            $fatal(1, "DSP48 model: OPMODE must be A * B, A * B + PCIN or A * B + C");
        if ((ce & 7'b1111011) != REQUIRED_CE || ce[2] != (opmode == 9'h035))
            $fatal(1, "DSP48 model: registers in use must be enabled, the others not");
        if (other != 0)
            $fatal(1, "DSP48 model: ALUMODE, INMODE, carries and resets must be 0");
    end

    reg signed [A_BITS-1:0] a_first = 0, a_last = 0;
    reg signed [17:0] b_first = 0, b_last = 0;
    reg signed [A_BITS+17:0] product = 0;
    reg [47:0] addend = 0;
    initial p = 0;

    generate
        if (AREG == 2) begin : two
            always @(posedge clk) begin
                a_first <= a;
                b_first <= b;
                a_last <= a_first;
                b_last <= b_first;
            end
        end else begin : one
            always @(posedge clk) begin
                a_last <= a;
                b_last <= b;
            end
        end
    endgenerate

    wire signed [47:0] extended = {{(30 - A_BITS){product[A_BITS+17]}}, product};
    always @(posedge clk) begin
        product <= a_last * b_last;
        addend <= c;
        p <= extended + (opmode[5:4] == 2'b00 ? 48'd0 : opmode[5:4] == 2'b01 ? pcin : addend);
    end
endmodule

// Simulation models of RAMB18E1 and RAMB36E1 for netlists of this project; yosys' own have no behaviour.
// By Xilinx UG473, 7 Series FPGAs Memory Resources: two ports on one memory of bytes with a ninth bit each, the low
// address bits naming the byte; RAM_MODE "TDP" with words of 9, 18 or (RAMB36E1) 36 bits, "SDP" with words of both
// ports' data pins, read by port A and written by port B. Writes go byte by byte. READ_FIRST: with both ports on one
// clock, what is read is what was there before the clock edge. Data appear a clock edge after the address.
// Address bit 15 of RAMB36E1 serves cascades alone. What netlists of this project do not use is fatal: other write
// modes and widths, output registers, cascades, inverted pins, a reset of the outputs.

module intramix_block_ram #(
    parameter BYTES = 2048,
    parameter PINS = 2,  // bytes that a port has data pins for
    parameter ADDRESS = 14,
    parameter [8*BYTES-1:0] INIT = 0,
    parameter [BYTES-1:0] INITP = 0,
    parameter DOA_REG = 0, DOB_REG = 0, RAM_MODE = "TDP", READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0,
        WRITE_WIDTH_B = 0, WRITE_MODE_A = "WRITE_FIRST", WRITE_MODE_B = "WRITE_FIRST", INVERTED = 0, EXTENSION = 0
) (
    input clk_a, clk_b, en_a, en_b, reset,
    input [ADDRESS-1:0] address_a, address_b,
    input [8*PINS-1:0] di_a, di_b,
    input [PINS-1:0] dip_a, dip_b, we_a,
    input [2*PINS-1:0] we_b,
    output [8*PINS-1:0] do_a, do_b,
    output [PINS-1:0] dop_a, dop_b
);
    localparam SDP = RAM_MODE == "SDP";
    localparam WIDE = 18 * PINS;  // words of SDP
    localparam INDEX = $clog2(BYTES);

    function is_narrow(input integer width);
        is_narrow = width == 0 || width == 9 || (width == 18 && PINS >= 2) || (width == 36 && PINS >= 4);
    endfunction

    initial begin
        if (DOA_REG != 0 || DOB_REG != 0) $fatal(1, "block RAM model: output registers are not modelled");
        if (RAM_MODE != "TDP" && RAM_MODE != "SDP") $fatal(1, "block RAM model: RAM_MODE must be TDP or SDP");
        if (WRITE_WIDTH_A != 0 && WRITE_MODE_A != "READ_FIRST")
            $fatal(1, "block RAM model: WRITE_MODE_A must be READ_FIRST where the port writes");
        if (WRITE_WIDTH_B != 0 && WRITE_MODE_B != "READ_FIRST")
            $fatal(1, "block RAM model: WRITE_MODE_B must be READ_FIRST where the port writes");
        if (SDP && (READ_WIDTH_A != WIDE || WRITE_WIDTH_B != WIDE || READ_WIDTH_B != 0 || WRITE_WIDTH_A != 0))
            $fatal(1, "block RAM model: with SDP, port A reads and port B writes words of all data pins");
        if (!SDP && !(is_narrow(READ_WIDTH_A) && is_narrow(READ_WIDTH_B) && is_narrow(WRITE_WIDTH_A)
                      && is_narrow(WRITE_WIDTH_B)))
            $fatal(1, "block RAM model: with TDP, widths must be 0, 9, 18 or, of RAMB36E1, 36");
        if (INVERTED != 0) $fatal(1, "block RAM model: no pin may be inverted");
        if (EXTENSION != 0) $fatal(1, "block RAM model: cascades and error correction are not modelled");
    end

    reg [8:0] memory [0:BYTES-1];  // a byte and its ninth bit
    integer i;
    initial for (i = 0; i < BYTES; i = i + 1) memory[i] = {INITP[i], INIT[8*i +: 8]};

    // Bytes of a word, at least one; the address of its first byte.
    localparam READ_A = READ_WIDTH_A / 9, READ_B = READ_WIDTH_B / 9;
    localparam WRITE_A = WRITE_WIDTH_A / 9, WRITE_B = WRITE_WIDTH_B / 9;
    wire [INDEX-1:0] byte_a = address_a[3 +: INDEX], byte_b = address_b[3 +: INDEX];

    reg [8*2*PINS-1:0] read_a = 0;
    reg [2*PINS-1:0] readp_a = 0;
    reg [8*PINS-1:0] read_b = 0;
    reg [PINS-1:0] readp_b = 0;
    wire [8*2*PINS-1:0] written_b = {SDP ? di_b : {8*PINS{1'b0}}, SDP ? di_a : di_b};
    wire [2*PINS-1:0] writtenp_b = {SDP ? dip_b : {PINS{1'b0}}, SDP ? dip_a : dip_b};

    integer a, b, c, d;
    generate
        if (READ_A > 0) begin
            always @(posedge clk_a) if (en_a) for (a = 0; a < READ_A; a = a + 1)
                {readp_a[a], read_a[8*a +: 8]} <= memory[(byte_a & ~(READ_A - 1)) | a];
        end
        if (READ_B > 0) begin
            always @(posedge clk_b) if (en_b) for (b = 0; b < READ_B; b = b + 1)
                {readp_b[b], read_b[8*b +: 8]} <= memory[(byte_b & ~(READ_B - 1)) | b];
        end
        if (WRITE_A > 0) begin
            always @(posedge clk_a) if (en_a) for (c = 0; c < WRITE_A; c = c + 1)
                if (we_a[c]) memory[(byte_a & ~(WRITE_A - 1)) | c] <= {dip_a[c], di_a[8*c +: 8]};
        end
        if (WRITE_B > 0) begin
            always @(posedge clk_b) if (en_b) for (d = 0; d < WRITE_B; d = d + 1)
                if (we_b[d]) memory[(byte_b & ~(WRITE_B - 1)) | d] <= {writtenp_b[d], written_b[8*d +: 8]};
        end
    endgenerate

    // A word narrower than its pins has the enables of its bytes repeated over all of a port's (UG473).
    integer e, f;
    always @(posedge clk_a) begin
        if (reset) $fatal(1, "block RAM model: outputs are not reset");
        if (WRITE_A > 0 && en_a) for (e = WRITE_A; e < PINS; e = e + 1)
            if (we_a[e] != we_a[e % WRITE_A]) $fatal(1, "block RAM model: WEA must repeat its word's enables");
    end
    always @(posedge clk_b)
        if (WRITE_B > 0 && en_b) for (f = WRITE_B; f < PINS; f = f + 1)
            if (we_b[f] != we_b[f % WRITE_B]) $fatal(1, "block RAM model: WEBWE must repeat its word's enables");

    assign do_a = read_a[8*PINS-1:0];
    assign dop_a = readp_a[PINS-1:0];
    assign do_b = SDP ? read_a[8*PINS +: 8*PINS] : read_b;
    assign dop_b = SDP ? readp_a[PINS +: PINS] : readp_b;
endmodule

module RAMB18E1 (
    input CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB,
    input RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
    input [13:0] ADDRARDADDR, ADDRBWRADDR,
    input [15:0] DIADI, DIBDI,
    input [1:0] DIPADIP, DIPBDIP, WEA,
    input [3:0] WEBWE,
    output [15:0] DOADO, DOBDO,
    output [1:0] DOPADOP, DOPBDOP
);
    parameter DOA_REG = 0, DOB_REG = 0, RAM_MODE = "TDP", READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0,
        WRITE_WIDTH_B = 0, WRITE_MODE_A = "WRITE_FIRST", WRITE_MODE_B = "WRITE_FIRST",
        INIT_A = 72'h0, INIT_B = 72'h0, SRVAL_A = 72'h0, SRVAL_B = 72'h0, INIT_FILE = "NONE",
        RSTREG_PRIORITY_A = "RSTREG", RSTREG_PRIORITY_B = "RSTREG", SIM_DEVICE = "7SERIES",
        SIM_COLLISION_CHECK = "ALL", RDADDR_COLLISION_HWCONFIG = "DELAYED_WRITE",
        INITP_00 = 256'h0, INITP_01 = 256'h0, INITP_02 = 256'h0, INITP_03 = 256'h0, INITP_04 = 256'h0, INITP_05
        = 256'h0, INITP_06 = 256'h0, INITP_07 = 256'h0,
        INIT_00 = 256'h0, INIT_01 = 256'h0, INIT_02 = 256'h0, INIT_03 = 256'h0, INIT_04 = 256'h0, INIT_05 =
        256'h0, INIT_06 = 256'h0, INIT_07 = 256'h0, INIT_08 = 256'h0, INIT_09 = 256'h0, INIT_0A = 256'h0,
        INIT_0B = 256'h0, INIT_0C = 256'h0, INIT_0D = 256'h0, INIT_0E = 256'h0, INIT_0F = 256'h0, INIT_10 =
        256'h0, INIT_11 = 256'h0, INIT_12 = 256'h0, INIT_13 = 256'h0, INIT_14 = 256'h0, INIT_15 = 256'h0,
        INIT_16 = 256'h0, INIT_17 = 256'h0, INIT_18 = 256'h0, INIT_19 = 256'h0, INIT_1A = 256'h0, INIT_1B =
        256'h0, INIT_1C = 256'h0, INIT_1D = 256'h0, INIT_1E = 256'h0, INIT_1F = 256'h0, INIT_20 = 256'h0,
        INIT_21 = 256'h0, INIT_22 = 256'h0, INIT_23 = 256'h0, INIT_24 = 256'h0, INIT_25 = 256'h0, INIT_26 =
        256'h0, INIT_27 = 256'h0, INIT_28 = 256'h0, INIT_29 = 256'h0, INIT_2A = 256'h0, INIT_2B = 256'h0,
        INIT_2C = 256'h0, INIT_2D = 256'h0, INIT_2E = 256'h0, INIT_2F = 256'h0, INIT_30 = 256'h0, INIT_31 =
        256'h0, INIT_32 = 256'h0, INIT_33 = 256'h0, INIT_34 = 256'h0, INIT_35 = 256'h0, INIT_36 = 256'h0,
        INIT_37 = 256'h0, INIT_38 = 256'h0, INIT_39 = 256'h0, INIT_3A = 256'h0, INIT_3B = 256'h0, INIT_3C =
        256'h0, INIT_3D = 256'h0, INIT_3E = 256'h0, INIT_3F = 256'h0,
        IS_CLKARDCLK_INVERTED = 1'b0, IS_CLKBWRCLK_INVERTED = 1'b0, IS_ENARDEN_INVERTED = 1'b0,
        IS_ENBWREN_INVERTED = 1'b0, IS_RSTRAMARSTRAM_INVERTED = 1'b0, IS_RSTRAMB_INVERTED = 1'b0,
        IS_RSTREGARSTREG_INVERTED = 1'b0, IS_RSTREGB_INVERTED = 1'b0;

    intramix_block_ram #(
        .BYTES(2048), .PINS(2), .ADDRESS(14),
        .INIT({INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38, INIT_37, INIT_36, INIT_35,
            INIT_34, INIT_33, INIT_32, INIT_31, INIT_30, INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B,
            INIT_2A, INIT_29, INIT_28, INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21,
            INIT_20, INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18, INIT_17,
            INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10, INIT_0F, INIT_0E, INIT_0D,
            INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08, INIT_07, INIT_06, INIT_05, INIT_04, INIT_03,
            INIT_02, INIT_01, INIT_00}),
        .INITP({INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00}),
        .DOA_REG(DOA_REG), .DOB_REG(DOB_REG), .RAM_MODE(RAM_MODE), .READ_WIDTH_A(READ_WIDTH_A),
        .READ_WIDTH_B(READ_WIDTH_B), .WRITE_WIDTH_A(WRITE_WIDTH_A), .WRITE_WIDTH_B(WRITE_WIDTH_B),
        .WRITE_MODE_A(WRITE_MODE_A), .WRITE_MODE_B(WRITE_MODE_B), .EXTENSION(0),
        .INVERTED(IS_CLKARDCLK_INVERTED || IS_CLKBWRCLK_INVERTED || IS_ENARDEN_INVERTED || IS_ENBWREN_INVERTED
            || IS_RSTRAMARSTRAM_INVERTED || IS_RSTRAMB_INVERTED || IS_RSTREGARSTREG_INVERTED || IS_RSTREGB_INVERTED)
    ) core (
        .clk_a(CLKARDCLK), .clk_b(CLKBWRCLK), .en_a(ENARDEN), .en_b(ENBWREN), .reset(RSTRAMARSTRAM || RSTRAMB),
        .address_a(ADDRARDADDR), .address_b(ADDRBWRADDR), .di_a(DIADI), .di_b(DIBDI), .dip_a(DIPADIP), .dip_b(DIPBDIP),
        .we_a(WEA), .we_b(WEBWE), .do_a(DOADO), .do_b(DOBDO), .dop_a(DOPADOP), .dop_b(DOPBDOP)
    );
endmodule

module RAMB36E1 (
    input CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB,
    input RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
    input [15:0] ADDRARDADDR, ADDRBWRADDR,
    input [31:0] DIADI, DIBDI,
    input [3:0] DIPADIP, DIPBDIP, WEA,
    input [7:0] WEBWE,
    output [31:0] DOADO, DOBDO,
    output [3:0] DOPADOP, DOPBDOP,
    input CASCADEINA, CASCADEINB, INJECTDBITERR, INJECTSBITERR,
    output CASCADEOUTA, CASCADEOUTB, DBITERR, SBITERR,
    output [7:0] ECCPARITY,
    output [8:0] RDADDRECC
);
    parameter DOA_REG = 0, DOB_REG = 0, RAM_MODE = "TDP", READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0,
        WRITE_WIDTH_B = 0, WRITE_MODE_A = "WRITE_FIRST", WRITE_MODE_B = "WRITE_FIRST",
        INIT_A = 72'h0, INIT_B = 72'h0, SRVAL_A = 72'h0, SRVAL_B = 72'h0, INIT_FILE = "NONE",
        RSTREG_PRIORITY_A = "RSTREG", RSTREG_PRIORITY_B = "RSTREG", SIM_DEVICE = "7SERIES",
        SIM_COLLISION_CHECK = "ALL", RDADDR_COLLISION_HWCONFIG = "DELAYED_WRITE",
        RAM_EXTENSION_A = "NONE", RAM_EXTENSION_B = "NONE", EN_ECC_READ = "FALSE", EN_ECC_WRITE = "FALSE",
        INITP_00 = 256'h0, INITP_01 = 256'h0, INITP_02 = 256'h0, INITP_03 = 256'h0, INITP_04 = 256'h0, INITP_05
        = 256'h0, INITP_06 = 256'h0, INITP_07 = 256'h0, INITP_08 = 256'h0, INITP_09 = 256'h0, INITP_0A = 256'h0,
        INITP_0B = 256'h0, INITP_0C = 256'h0, INITP_0D = 256'h0, INITP_0E = 256'h0, INITP_0F = 256'h0,
        INIT_00 = 256'h0, INIT_01 = 256'h0, INIT_02 = 256'h0, INIT_03 = 256'h0, INIT_04 = 256'h0, INIT_05 =
        256'h0, INIT_06 = 256'h0, INIT_07 = 256'h0, INIT_08 = 256'h0, INIT_09 = 256'h0, INIT_0A = 256'h0,
        INIT_0B = 256'h0, INIT_0C = 256'h0, INIT_0D = 256'h0, INIT_0E = 256'h0, INIT_0F = 256'h0, INIT_10 =
        256'h0, INIT_11 = 256'h0, INIT_12 = 256'h0, INIT_13 = 256'h0, INIT_14 = 256'h0, INIT_15 = 256'h0,
        INIT_16 = 256'h0, INIT_17 = 256'h0, INIT_18 = 256'h0, INIT_19 = 256'h0, INIT_1A = 256'h0, INIT_1B =
        256'h0, INIT_1C = 256'h0, INIT_1D = 256'h0, INIT_1E = 256'h0, INIT_1F = 256'h0, INIT_20 = 256'h0,
        INIT_21 = 256'h0, INIT_22 = 256'h0, INIT_23 = 256'h0, INIT_24 = 256'h0, INIT_25 = 256'h0, INIT_26 =
        256'h0, INIT_27 = 256'h0, INIT_28 = 256'h0, INIT_29 = 256'h0, INIT_2A = 256'h0, INIT_2B = 256'h0,
        INIT_2C = 256'h0, INIT_2D = 256'h0, INIT_2E = 256'h0, INIT_2F = 256'h0, INIT_30 = 256'h0, INIT_31 =
        256'h0, INIT_32 = 256'h0, INIT_33 = 256'h0, INIT_34 = 256'h0, INIT_35 = 256'h0, INIT_36 = 256'h0,
        INIT_37 = 256'h0, INIT_38 = 256'h0, INIT_39 = 256'h0, INIT_3A = 256'h0, INIT_3B = 256'h0, INIT_3C =
        256'h0, INIT_3D = 256'h0, INIT_3E = 256'h0, INIT_3F = 256'h0, INIT_40 = 256'h0, INIT_41 = 256'h0,
        INIT_42 = 256'h0, INIT_43 = 256'h0, INIT_44 = 256'h0, INIT_45 = 256'h0, INIT_46 = 256'h0, INIT_47 =
        256'h0, INIT_48 = 256'h0, INIT_49 = 256'h0, INIT_4A = 256'h0, INIT_4B = 256'h0, INIT_4C = 256'h0,
        INIT_4D = 256'h0, INIT_4E = 256'h0, INIT_4F = 256'h0, INIT_50 = 256'h0, INIT_51 = 256'h0, INIT_52 =
        256'h0, INIT_53 = 256'h0, INIT_54 = 256'h0, INIT_55 = 256'h0, INIT_56 = 256'h0, INIT_57 = 256'h0,
        INIT_58 = 256'h0, INIT_59 = 256'h0, INIT_5A = 256'h0, INIT_5B = 256'h0, INIT_5C = 256'h0, INIT_5D =
        256'h0, INIT_5E = 256'h0, INIT_5F = 256'h0, INIT_60 = 256'h0, INIT_61 = 256'h0, INIT_62 = 256'h0,
        INIT_63 = 256'h0, INIT_64 = 256'h0, INIT_65 = 256'h0, INIT_66 = 256'h0, INIT_67 = 256'h0, INIT_68 =
        256'h0, INIT_69 = 256'h0, INIT_6A = 256'h0, INIT_6B = 256'h0, INIT_6C = 256'h0, INIT_6D = 256'h0,
        INIT_6E = 256'h0, INIT_6F = 256'h0, INIT_70 = 256'h0, INIT_71 = 256'h0, INIT_72 = 256'h0, INIT_73 =
        256'h0, INIT_74 = 256'h0, INIT_75 = 256'h0, INIT_76 = 256'h0, INIT_77 = 256'h0, INIT_78 = 256'h0,
        INIT_79 = 256'h0, INIT_7A = 256'h0, INIT_7B = 256'h0, INIT_7C = 256'h0, INIT_7D = 256'h0, INIT_7E =
        256'h0, INIT_7F = 256'h0,
        IS_CLKARDCLK_INVERTED = 1'b0, IS_CLKBWRCLK_INVERTED = 1'b0, IS_ENARDEN_INVERTED = 1'b0,
        IS_ENBWREN_INVERTED = 1'b0, IS_RSTRAMARSTRAM_INVERTED = 1'b0, IS_RSTRAMB_INVERTED = 1'b0,
        IS_RSTREGARSTREG_INVERTED = 1'b0, IS_RSTREGB_INVERTED = 1'b0;

    intramix_block_ram #(
        .BYTES(4096), .PINS(4), .ADDRESS(16),
        .INIT({INIT_7F, INIT_7E, INIT_7D, INIT_7C, INIT_7B, INIT_7A, INIT_79, INIT_78, INIT_77, INIT_76, INIT_75,
            INIT_74, INIT_73, INIT_72, INIT_71, INIT_70, INIT_6F, INIT_6E, INIT_6D, INIT_6C, INIT_6B,
            INIT_6A, INIT_69, INIT_68, INIT_67, INIT_66, INIT_65, INIT_64, INIT_63, INIT_62, INIT_61,
            INIT_60, INIT_5F, INIT_5E, INIT_5D, INIT_5C, INIT_5B, INIT_5A, INIT_59, INIT_58, INIT_57,
            INIT_56, INIT_55, INIT_54, INIT_53, INIT_52, INIT_51, INIT_50, INIT_4F, INIT_4E, INIT_4D,
            INIT_4C, INIT_4B, INIT_4A, INIT_49, INIT_48, INIT_47, INIT_46, INIT_45, INIT_44, INIT_43,
            INIT_42, INIT_41, INIT_40, INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39,
            INIT_38, INIT_37, INIT_36, INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30, INIT_2F,
            INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28, INIT_27, INIT_26, INIT_25,
            INIT_24, INIT_23, INIT_22, INIT_21, INIT_20, INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B,
            INIT_1A, INIT_19, INIT_18, INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11,
            INIT_10, INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08, INIT_07,
            INIT_06, INIT_05, INIT_04, INIT_03, INIT_02, INIT_01, INIT_00}),
        .INITP({INITP_0F, INITP_0E, INITP_0D, INITP_0C, INITP_0B, INITP_0A, INITP_09, INITP_08, INITP_07, INITP_06,
            INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00}),
        .DOA_REG(DOA_REG), .DOB_REG(DOB_REG), .RAM_MODE(RAM_MODE), .READ_WIDTH_A(READ_WIDTH_A),
        .READ_WIDTH_B(READ_WIDTH_B), .WRITE_WIDTH_A(WRITE_WIDTH_A), .WRITE_WIDTH_B(WRITE_WIDTH_B),
        .WRITE_MODE_A(WRITE_MODE_A), .WRITE_MODE_B(WRITE_MODE_B),
        .EXTENSION(RAM_EXTENSION_A != "NONE" || RAM_EXTENSION_B != "NONE" || EN_ECC_READ != "FALSE"
            || EN_ECC_WRITE != "FALSE"),
        .INVERTED(IS_CLKARDCLK_INVERTED || IS_CLKBWRCLK_INVERTED || IS_ENARDEN_INVERTED || IS_ENBWREN_INVERTED
            || IS_RSTRAMARSTRAM_INVERTED || IS_RSTRAMB_INVERTED || IS_RSTREGARSTREG_INVERTED || IS_RSTREGB_INVERTED)
    ) core (
        .clk_a(CLKARDCLK), .clk_b(CLKBWRCLK), .en_a(ENARDEN), .en_b(ENBWREN), .reset(RSTRAMARSTRAM || RSTRAMB),
        .address_a(ADDRARDADDR), .address_b(ADDRBWRADDR), .di_a(DIADI), .di_b(DIBDI), .dip_a(DIPADIP), .dip_b(DIPBDIP),
        .we_a(WEA), .we_b(WEBWE), .do_a(DOADO), .do_b(DOBDO), .dop_a(DOPADOP), .dop_b(DOPBDOP)
    );
endmodule

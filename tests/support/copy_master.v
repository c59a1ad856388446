// A small AXI4 master for tests of the DDR model: copies memory, and breaks a rule of AXI4 when told to.
// A second, read-only master streams words with many bursts outstanding and adds them up.
//
//   0x00 source   0x04 destination   0x08 bytes of the copy (whole beats)   0x0C control: 1 starts the copy, 2 the stream,
//   bits 11:8 fault   0x10 status: done, response 3:2   0x14 start of the stream   0x18 its bursts   0x1C their sum
module copy_master #(parameter DATA = 64, parameter STREAM = 32) (
    input clk, input rst, output interrupt,
    input [7:0] s_axi__awaddr, input [2:0] s_axi__awprot, input s_axi__awvalid, output s_axi__awready,
    input [31:0] s_axi__wdata, input [3:0] s_axi__wstrb, input s_axi__wvalid, output s_axi__wready,
    output [1:0] s_axi__bresp, output reg s_axi__bvalid, input s_axi__bready,
    input [7:0] s_axi__araddr, input [2:0] s_axi__arprot, input s_axi__arvalid, output s_axi__arready,
    output reg [31:0] s_axi__rdata, output [1:0] s_axi__rresp, output reg s_axi__rvalid, input s_axi__rready,
    output reg [31:0] copy__araddr, output reg [7:0] copy__arlen, output [2:0] copy__arsize, output [1:0] copy__arburst,
    output reg copy__arvalid, input copy__arready,
    input [DATA-1:0] copy__rdata, input [1:0] copy__rresp, input copy__rlast, input copy__rvalid, output copy__rready,
    output reg [31:0] copy__awaddr, output reg [7:0] copy__awlen, output [2:0] copy__awsize, output [1:0] copy__awburst,
    output reg copy__awvalid, input copy__awready,
    output [DATA-1:0] copy__wdata, output [DATA/8-1:0] copy__wstrb, output copy__wlast, output copy__wvalid,
    input copy__wready, input [1:0] copy__bresp, input copy__bvalid, output copy__bready,
    output [31:0] stream__araddr, output [7:0] stream__arlen, output [2:0] stream__arsize, output [1:0] stream__arburst,
    output stream__arvalid, input stream__arready,
    input [STREAM-1:0] stream__rdata, input [1:0] stream__rresp, input stream__rlast, input stream__rvalid,
    output stream__rready
);
    localparam [3:0] CROSSES = 1, EARLY_LAST = 2, CHANGES_ADDRESS = 3, DROPS_ADDRESS = 4, NARROW = 5, FIXED = 6,
                     CHANGES_DATA = 7, TOO_LONG = 8, DROPS_DATA = 9, FATAL = 10;
    localparam BYTES = DATA / 8;

    reg [31:0] source, destination, bytes, stream_start, stream_bursts, stream_sum;
    reg [3:0] fault;
    reg done;
    reg [1:0] response;

    // Registers
    wire write = s_axi__awvalid && s_axi__wvalid && !s_axi__bvalid;
    assign s_axi__awready = write, s_axi__wready = write, s_axi__bresp = 0;
    wire start = write && s_axi__awaddr == 8'h0C && s_axi__wdata[0];
    wire start_stream = write && s_axi__awaddr == 8'h0C && s_axi__wdata[1];
    assign s_axi__arready = !s_axi__rvalid, s_axi__rresp = 0;
    always @(posedge clk) begin
        if (write) begin
            s_axi__bvalid <= 1;
            case (s_axi__awaddr)
                8'h00: source <= s_axi__wdata;
                8'h04: destination <= s_axi__wdata;
                8'h08: bytes <= s_axi__wdata;
                8'h0C: fault <= s_axi__wdata[11:8];
                8'h14: stream_start <= s_axi__wdata;
                8'h18: stream_bursts <= s_axi__wdata;
                default: ;
            endcase
        end else if (s_axi__bready) s_axi__bvalid <= 0;
        if (s_axi__arvalid && s_axi__arready) begin
            s_axi__rvalid <= 1;
            case (s_axi__araddr)
                8'h00: s_axi__rdata <= source;
                8'h10: s_axi__rdata <= {28'b0, response, 1'b0, done};
                8'h1C: s_axi__rdata <= stream_sum;
                default: s_axi__rdata <= 0;
            endcase
        end else if (s_axi__rready) s_axi__rvalid <= 0;
        if (rst) {s_axi__bvalid, s_axi__rvalid, fault} <= 0;
    end

    // Copy: read a burst, write it, wait for its response.
    localparam [2:0] IDLE = 0, READ = 1, RECEIVE = 2, WRITE = 3, RESPOND = 4;
    reg [2:0] state;
    reg [31:0] left, from, to;
    reg [4:0] index, beats;
    reg [DATA-1:0] buffer [0:31];
    wire [31:0] page_from = fault == CROSSES ? 32'hFFFF : (4096 - from[11:0]) / BYTES;
    wire [31:0] page_to = fault == CROSSES ? 32'hFFFF : (4096 - to[11:0]) / BYTES;
    wire [31:0] limit = fault == TOO_LONG ? 17 : 16;
    wire [31:0] least = page_from < page_to ? page_from : page_to;
    wire [31:0] most = least < limit ? least : limit;
    wire [31:0] wanted = left / BYTES < most ? left / BYTES : most;
    reg toggle;
    assign copy__arsize = $clog2(BYTES) - (fault == NARROW), copy__awsize = $clog2(BYTES);
    assign copy__arburst = fault == FIXED ? 0 : 1, copy__awburst = 1;
    assign copy__rready = state == RECEIVE;
    reg w_active;
    assign copy__wvalid = w_active && !(fault == DROPS_DATA && toggle);
    assign copy__wdata = buffer[index] ^ (fault == CHANGES_DATA && toggle);
    assign copy__wstrb = {BYTES{1'b1}};
    assign copy__wlast = fault == EARLY_LAST ? index == 0 : index + 1 == beats;
    assign copy__bready = 1;
    assign interrupt = done;
    always @(posedge clk) begin
        toggle <= !toggle;
        if (copy__arvalid && copy__arready) copy__arvalid <= 0;
        else if (copy__arvalid && fault == CHANGES_ADDRESS) copy__araddr <= copy__araddr + BYTES;
        else if (copy__arvalid && fault == DROPS_ADDRESS) copy__arvalid <= 0;
        if (copy__awvalid && copy__awready) copy__awvalid <= 0;
        if (fault == FATAL && state == RESPOND) $fatal(1, "told to fail");
        case (state)
            IDLE: if (start) begin
                done <= 0; response <= 0; left <= bytes; from <= source; to <= destination;
                state <= READ;
            end
            READ: if (left == 0) begin
                done <= 1; state <= IDLE;
            end else begin
                copy__araddr <= from; copy__arlen <= wanted - 1; copy__arvalid <= 1;
                beats <= wanted; index <= 0; state <= RECEIVE;
            end
            RECEIVE: if (copy__rvalid) begin
                buffer[index] <= copy__rdata; index <= index + 1;
                if (copy__rresp != 0) response <= copy__rresp;
                if (copy__rlast) begin
                    index <= 0; w_active <= 1; state <= WRITE;
                    copy__awaddr <= to; copy__awlen <= beats - 1; copy__awvalid <= 1;
                end
            end
            WRITE: if (copy__wvalid && copy__wready) begin
                index <= index + 1;
                if (index + 1 == beats) begin w_active <= 0; state <= RESPOND; end
            end
            RESPOND: if (copy__bvalid) begin
                if (copy__bresp != 0) response <= copy__bresp;
                left <= left - beats * BYTES; from <= from + beats * BYTES; to <= to + beats * BYTES;
                state <= READ;
            end
            default: ;
        endcase
        if (rst) {state, copy__arvalid, copy__awvalid, w_active, done, response, toggle} <= 0;
    end

    // Stream: bursts of 16 beats as fast as the memory takes them.
    reg [31:0] issued;
    reg streaming;
    assign stream__araddr = stream_start + issued * (16 * STREAM / 8), stream__arlen = 15;
    assign stream__arsize = $clog2(STREAM / 8), stream__arburst = 1, stream__arvalid = streaming && issued != stream_bursts;
    assign stream__rready = 1;
    integer word;
    reg [31:0] sum;
    always @* begin
        sum = stream_sum;
        for (word = 0; word < STREAM / 32; word = word + 1) sum = sum + stream__rdata[32 * word +: 32];
    end
    always @(posedge clk) begin
        if (start_stream) begin streaming <= 1; issued <= 0; stream_sum <= 0; end
        else if (stream__arvalid && stream__arready) issued <= issued + 1;
        if (stream__rvalid) stream_sum <= sum;
        if (rst) streaming <= 0;
    end
endmodule

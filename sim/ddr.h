// A DDR memory behind AXI4 slave ports: what a simulated accelerator's masters talk to.
//
// Every port serves one flat memory. All ports share a byte rate (a token bucket), ports may share their read channel, reads
// wait a latency, every channel may stall at random, and every rule of AXI4 that a master of Intramix must keep is checked: the
// first violation is described in `violation()`, and the run is to be ended.
//
// One call of `tick()` is one rising clock edge: it takes what the masters drove before the edge (`Port::in`) together with
// what the slave drove (`Port::out`) and leaves in `out` what the slave drives after it. All outputs are registered.
//
// A read takes its data when its address is accepted and a write lands when its response is given: a master that reads before the
// response of a write it depends on sees old data. With random stalls either moment is drawn anew for each burst.
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace intramix {

constexpr unsigned MAXIMUM_BEAT_BYTES = 16;
constexpr unsigned RESPONSE_OKAY = 0;

struct Conditions {
    double bytes_per_cycle = 1e9;    // shared by all ports, reads and writes together
    uint32_t read_latency = 40;      // cycles from an accepted address to its first beat
    uint32_t write_latency = 40;     // cycles from the last beat of a burst to its response
    double stall_probability = 0.0;  // of each channel in each cycle
    uint64_t seed = 1;
    uint32_t outstanding = 16;       // bursts a port accepts before it finishes the first, per direction
};

// An answer other than data for bursts that touch an address range.
struct Fault {
    // SILENCE: not answered while the fault stands. CORRUPT: reads of each byte of the range give it with bit 0 inverted.
    enum Mode : uint32_t { SLVERR = 2, DECERR = 3, SILENCE = 4, CORRUPT = 5 };
    uint64_t begin, end;
    bool reads, writes;
    uint32_t mode;
};

struct AddressChannel {
    bool valid = false;
    uint64_t address = 0;
    uint32_t length = 0, size = 0, burst = 0;
    bool operator==(const AddressChannel& other) const {
        return address == other.address && length == other.length && size == other.size && burst == other.burst;
    }
};

struct WriteBeat {
    bool valid = false, last = false;
    uint32_t strobes = 0;
    uint8_t data[MAXIMUM_BEAT_BYTES] = {};
    bool operator==(const WriteBeat& other) const;
};

struct MasterOutputs {
    AddressChannel ar, aw;
    WriteBeat w;
    bool rready = false, bready = false;
};

struct SlaveOutputs {
    bool arready = false, rvalid = false, rlast = false;
    uint32_t rresp = RESPONSE_OKAY;
    uint8_t rdata[MAXIMUM_BEAT_BYTES] = {};
    bool awready = false, wready = false, bvalid = false;
    uint32_t bresp = RESPONSE_OKAY;
};

struct PortStatistics {
    uint64_t read_bytes = 0, write_bytes = 0, read_bursts = 0, write_bursts = 0;
};

struct Burst {
    uint64_t address = 0;
    uint32_t beats = 0, done = 0;
    uint64_t due = 0;     // first cycle in which it may be answered
    bool early = false;   // a read that has its data, a write that lands beat by beat
    bool complete = false;
    std::vector<uint8_t> data;
    std::vector<uint32_t> strobes;
};

class Ddr;

// One AXI4 slave port, with read channels, write channels or both.
class Port {
public:
    Port(Ddr& ddr, std::string name, unsigned beat_bytes, unsigned maximum_burst)
        : ddr_(ddr), name_(std::move(name)), bytes_(beat_bytes), maximum_burst_(maximum_burst) {}

    MasterOutputs in;
    SlaveOutputs out;
    PortStatistics statistics;
    int group = -1;  // of ports that share their read channel

    void tick();
    void reset();
    bool idle() const { return reads_.empty() && writes_.empty(); }

private:
    void check_address(const char* channel, const AddressChannel& now, const AddressChannel& before, bool was_ready);
    void check_burst(const char* channel, const AddressChannel& address);
    void check_write_data();
    void tick_reads();
    void tick_writes();
    void sample(Burst& burst);
    void land(const Burst& burst, unsigned beat);
    uint32_t answer(bool write, uint64_t begin, uint64_t end) const;
    void corrupt(uint64_t begin);

    Ddr& ddr_;
    std::string name_;
    unsigned bytes_, maximum_burst_;
    MasterOutputs before_;
    bool before_arready_ = false, before_awready_ = false, before_wready_ = false;
    std::deque<Burst> reads_, writes_;
};

class Ddr {
public:
    Ddr(uint8_t* memory, uint64_t size, const Conditions& conditions);

    Port& add_port(std::string name, unsigned beat_bytes, unsigned maximum_burst);
    Port& port(size_t index) { return ports_[index]; }
    size_t ports() const { return ports_.size(); }
    void tick();
    void reset();
    bool idle() const;

    // Ranges that masters may touch; everything in memory until the first call.
    void allow(uint64_t begin, uint64_t end) { allowed_.push_back({begin, end}); }
    void inject(const Fault& fault) { faults_.push_back(fault); }
    void clear_faults() { faults_.clear(); }

    const std::string& violation() const { return violation_; }
    uint64_t limited_cycles() const { return limited_cycles_; }  // in which some beat waited for the byte rate alone

private:
    friend class Port;
    void violate(const std::string& message) { if (violation_.empty()) violation_ = message; }
    bool legal(uint64_t begin, uint64_t end) const;
    bool stall();
    bool coin();
    uint64_t random();
    bool rate_left() { if (tokens_ > 0) return true; limited_ = true; return false; }
    void spend(unsigned bytes) { tokens_ -= bytes; }
    bool turn(int group);

    uint8_t* memory_;
    uint64_t size_;
    Conditions conditions_;
    std::deque<Port> ports_;
    std::vector<std::pair<uint64_t, uint64_t>> allowed_;
    std::vector<Fault> faults_;
    std::vector<uint64_t> turns_;  // by group, the last cycle in which one of its ports was given a beat
    std::string violation_;
    double tokens_ = 0;
    uint64_t cycle_ = 0, state_, stall_threshold_, limited_cycles_ = 0;
    size_t first_ = 0;
    bool limited_ = false;
};

}  // namespace intramix

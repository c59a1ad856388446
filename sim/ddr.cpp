#include "ddr.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace intramix {

namespace {

constexpr uint64_t PAGE_BYTES = 4096;
constexpr uint32_t BURST_INCR = 1;
constexpr double BUCKET_BYTES = 64;  // what an idle memory saves up: one DDR3 burst of 64 bits

std::string hexadecimal(uint64_t value) {
    char text[32];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
    return text;
}

}  // namespace

bool WriteBeat::operator==(const WriteBeat& other) const {
    return last == other.last && strobes == other.strobes && !std::memcmp(data, other.data, sizeof data);
}

// Port -----------------------------------------------------------------------------------------------------------------

void Port::reset() {
    in = before_ = {};
    out = {};
    before_arready_ = before_awready_ = before_wready_ = false;
    reads_.clear();
    writes_.clear();
}

void Port::tick() {
    check_address("AR", in.ar, before_.ar, before_arready_);
    check_address("AW", in.aw, before_.aw, before_awready_);
    check_write_data();
    before_arready_ = out.arready;
    before_awready_ = out.awready;
    before_wready_ = out.wready;
    tick_reads();
    tick_writes();
    before_ = in;
}

void Port::check_address(const char* channel, const AddressChannel& now, const AddressChannel& before, bool was_ready) {
    if (!before.valid || was_ready) return;
    if (!now.valid) ddr_.violate(name_ + ": " + channel + "VALID fell before " + channel + "READY");
    else if (!(now == before)) ddr_.violate(name_ + ": the payload of " + channel + " changed while it waited for ready");
}

void Port::check_write_data() {
    if (!before_.w.valid || before_wready_) return;
    if (!in.w.valid) ddr_.violate(name_ + ": WVALID fell before WREADY");
    else if (!(in.w == before_.w)) ddr_.violate(name_ + ": the payload of W changed while it waited for ready");
}

void Port::check_burst(const char* channel, const AddressChannel& address) {
    const uint64_t bytes = uint64_t(address.length + 1) * bytes_, end = address.address + bytes;
    const std::string burst =
        name_ + ": " + channel + " burst of " + std::to_string(address.length + 1) + " beats at " + hexadecimal(address.address);
    if (address.burst != BURST_INCR) ddr_.violate(burst + " is not INCR");
    else if ((1u << address.size) != bytes_) ddr_.violate(burst + " has beats narrower or wider than the bus");
    else if (address.address % bytes_) ddr_.violate(burst + " is not aligned to the bus");
    else if (address.length + 1 > maximum_burst_)
        ddr_.violate(burst + " is longer than " + std::to_string(maximum_burst_));
    else if (address.address / PAGE_BYTES != (end - 1) / PAGE_BYTES) ddr_.violate(burst + " crosses 4 KiB");
    else if (end > ddr_.size_ || end < address.address) ddr_.violate(burst + " is out of memory");
}

uint32_t Port::answer(bool write, uint64_t begin, uint64_t end) const {
    for (const Fault& fault : ddr_.faults_)
        if (fault.mode != Fault::CORRUPT && (write ? fault.writes : fault.reads) && begin < fault.end && fault.begin < end)
            return fault.mode;
    return RESPONSE_OKAY;
}

void Port::corrupt(uint64_t begin) {
    for (const Fault& fault : ddr_.faults_)
        if (fault.mode == Fault::CORRUPT && fault.reads)
            for (unsigned byte = 0; byte < bytes_; ++byte)
                if (fault.begin <= begin + byte && begin + byte < fault.end) out.rdata[byte] ^= 1;
}

void Port::sample(Burst& burst) {
    burst.data.assign(ddr_.memory_ + burst.address, ddr_.memory_ + burst.address + uint64_t(burst.beats) * bytes_);
    burst.early = true;
}

void Port::tick_reads() {
    if (in.ar.valid && out.arready) {
        check_burst("AR", in.ar);
        if (!ddr_.violation_.empty()) return;
        Burst burst;
        burst.address = in.ar.address;
        burst.beats = in.ar.length + 1;
        burst.due = ddr_.cycle_ + std::max(ddr_.conditions_.read_latency, 1u) - 1;
        const uint64_t end = burst.address + uint64_t(burst.beats) * bytes_;
        if (!ddr_.legal(burst.address, end))
            ddr_.violate(name_ + ": read of " + hexadecimal(burst.address) + " … " + hexadecimal(end - 1) +
                         " touches memory that is not allocated");
        if (ddr_.coin()) sample(burst);
        reads_.push_back(std::move(burst));
        ++statistics.read_bursts;
    }
    if (out.rvalid && in.rready) {
        out.rvalid = false;
        statistics.read_bytes += bytes_;
        if (++reads_.front().done == reads_.front().beats) reads_.pop_front();
    }
    if (!out.rvalid && !reads_.empty() && reads_.front().due <= ddr_.cycle_) {
        Burst& burst = reads_.front();
        const uint64_t begin = burst.address + uint64_t(burst.done) * bytes_;
        const uint32_t response = answer(false, begin, begin + bytes_);
        if (response != Fault::SILENCE && !ddr_.stall() && ddr_.rate_left() && ddr_.turn(group)) {
            if (!burst.early) sample(burst);
            ddr_.spend(bytes_);
            out.rvalid = true;
            out.rlast = burst.done + 1 == burst.beats;
            out.rresp = response;
            std::memcpy(out.rdata, burst.data.data() + uint64_t(burst.done) * bytes_, bytes_);
            corrupt(begin);
        }
    }
    out.arready = reads_.size() < ddr_.conditions_.outstanding && !ddr_.stall();
}

void Port::land(const Burst& burst, unsigned beat) {
    const uint32_t strobes = burst.strobes[beat];
    for (unsigned lane = 0; lane < bytes_; ++lane)
        if (strobes >> lane & 1)
            ddr_.memory_[burst.address + uint64_t(beat) * bytes_ + lane] = burst.data[uint64_t(beat) * bytes_ + lane];
}

void Port::tick_writes() {
    if (in.w.valid && out.wready) {
        auto burst = std::find_if(writes_.begin(), writes_.end(), [](const Burst& one) { return !one.complete; });
        const uint64_t begin = burst->address + uint64_t(burst->done) * bytes_;
        const bool last = burst->done + 1 == burst->beats;
        if (in.w.last != last)
            ddr_.violate(name_ + ": WLAST is " + (in.w.last ? "high" : "low") + " in beat " + std::to_string(burst->done) +
                         " of the burst of " + std::to_string(burst->beats) + " beats at " + hexadecimal(burst->address));
        if (bytes_ < 32 && in.w.strobes >> bytes_)
            ddr_.violate(name_ + ": WSTRB has bits beyond the bus");
        for (unsigned lane = 0; lane < bytes_; ++lane) {
            if (!(in.w.strobes >> lane & 1)) continue;
            ++statistics.write_bytes;
            if (!ddr_.legal(begin + lane, begin + lane + 1))
                ddr_.violate(name_ + ": write to " + hexadecimal(begin + lane) + ", which is not allocated");
        }
        if (!ddr_.violation_.empty()) return;
        burst->data.insert(burst->data.end(), in.w.data, in.w.data + bytes_);
        burst->strobes.push_back(in.w.strobes);
        ddr_.spend(bytes_);
        if (burst->early && answer(true, begin, begin + bytes_) == RESPONSE_OKAY) land(*burst, burst->done);
        ++burst->done;
        burst->complete = last;
        burst->due = ddr_.cycle_ + std::max(ddr_.conditions_.write_latency, 1u) - 1;
    }
    if (in.aw.valid && out.awready) {
        check_burst("AW", in.aw);
        if (!ddr_.violation_.empty()) return;
        Burst burst;
        burst.address = in.aw.address;
        burst.beats = in.aw.length + 1;
        burst.early = !ddr_.coin();
        writes_.push_back(std::move(burst));
        ++statistics.write_bursts;
    }
    if (out.bvalid && in.bready) {
        out.bvalid = false;
        writes_.pop_front();
    }
    if (!out.bvalid && !writes_.empty() && writes_.front().complete && writes_.front().due <= ddr_.cycle_) {
        const Burst& burst = writes_.front();
        const uint32_t response = answer(true, burst.address, burst.address + uint64_t(burst.beats) * bytes_);
        if (response != Fault::SILENCE && !ddr_.stall()) {
            out.bvalid = true;
            out.bresp = response;
            if (!burst.early && response == RESPONSE_OKAY)
                for (unsigned beat = 0; beat < burst.beats; ++beat) land(burst, beat);
        }
    }
    const bool open = std::any_of(writes_.begin(), writes_.end(), [](const Burst& one) { return !one.complete; });
    out.awready = writes_.size() < ddr_.conditions_.outstanding && !ddr_.stall();
    out.wready = open && !ddr_.stall() && (in.w.valid ? ddr_.rate_left() : ddr_.tokens_ > 0);
}

// Ddr ------------------------------------------------------------------------------------------------------------------

Ddr::Ddr(uint8_t* memory, uint64_t size, const Conditions& conditions)
    : memory_(memory), size_(size), conditions_(conditions), state_(conditions.seed * 0x9e3779b97f4a7c15ull + 1),
      stall_threshold_(uint64_t(std::clamp(conditions.stall_probability, 0.0, 1.0) * 4294967296.0)) {}

Port& Ddr::add_port(std::string name, unsigned beat_bytes, unsigned maximum_burst) {
    ports_.emplace_back(*this, std::move(name), beat_bytes, maximum_burst);
    return ports_.back();
}

void Ddr::tick() {
    tokens_ = std::min(tokens_ + conditions_.bytes_per_cycle, std::max(BUCKET_BYTES, conditions_.bytes_per_cycle));
    limited_ = false;
    // The port that goes first rotates, so that each gets its share of a scarce rate.
    for (size_t index = 0; index < ports_.size(); ++index) ports_[(first_ + index) % ports_.size()].tick();
    if (!ports_.empty()) first_ = (first_ + 1) % ports_.size();
    limited_cycles_ += limited_;
    ++cycle_;
}

void Ddr::reset() {
    for (Port& port : ports_) port.reset();
}

bool Ddr::idle() const {
    return std::all_of(ports_.begin(), ports_.end(), [](const Port& port) { return port.idle(); });
}

bool Ddr::legal(uint64_t begin, uint64_t end) const {
    if (allowed_.empty()) return end <= size_;
    return std::any_of(allowed_.begin(), allowed_.end(),
                       [&](const auto& range) { return range.first <= begin && end <= range.second; });
}

uint64_t Ddr::random() {  // xorshift64*
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1dull >> 32;
}

bool Ddr::turn(int group) {
    if (group < 0) return true;
    if (turns_.size() <= size_t(group)) turns_.resize(group + 1, ~uint64_t(0));
    if (turns_[group] == cycle_) return false;
    turns_[group] = cycle_;
    return true;
}

bool Ddr::stall() { return stall_threshold_ && random() < stall_threshold_; }

bool Ddr::coin() { return !stall_threshold_ || random() & 1; }

}  // namespace intramix

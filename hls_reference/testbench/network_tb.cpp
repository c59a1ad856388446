// Runs a network's layer table on vectors from PyTorch and compares every stored beat of every layer.
//
//   network_tb FOLDER [layerwise]
//
// FOLDER is what `intramix hls` writes. `layerwise` calls top once a layer and copies between two memories, which is
// what co-simulation needs, where maps_in and maps_out cannot be one array. Returns 0: all equal; 1: a beat differs;
// 2: top returned a status; 3: FOLDER cannot be read.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "../src/top.h"

using namespace intramix;

struct Check {
    long address, length;
    std::string name;
};

static const int BEAT_BYTES = PORT_BITS / 8;
static const long GUARD = 16;   // beats beyond the maps that nothing may touch

static bool read_bytes(const std::string &path, std::vector<unsigned char> &bytes) {
    std::ifstream file(path.c_str(), std::ios::binary);
    if (!file) {
        std::cerr << "cannot read " << path << std::endl;
        return false;
    }
    bytes.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    return true;
}

static beat_t beat_at(const std::vector<unsigned char> &bytes, long index) {
    beat_t beat = 0;
    for (int octet = 0; octet < BEAT_BYTES; octet++)
        beat.range(8 * octet + 7, 8 * octet) = bytes[index * BEAT_BYTES + octet];
    return beat;
}

static beat_t pattern(long index) {   // what memory holds before anything is written
    beat_t beat = 0;
    for (int octet = 0; octet < BEAT_BYTES; octet++)
        beat.range(8 * octet + 7, 8 * octet) = (index * 7 + octet * 13 + 165) & 255;
    return beat;
}

static int run(const std::vector<beat_t> &in, std::vector<beat_t> &out, std::vector<beat_t> &weights,
               std::vector<constant_t> &constants, std::vector<ap_int<32> > &table, int first, int count) {
    return top(&in[0], &out[0], &weights[0], &constants[0], &table[0], int(in.size() - GUARD), int(weights.size()),
               int(constants.size()), int(table.size()), first, count);
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3 || (argc == 3 && std::string(argv[2]) != "layerwise")) {
        std::cerr << "usage: network_tb FOLDER [layerwise]" << std::endl;
        return 3;
    }
    std::string folder = std::string(argv[1]) + "/";
    bool layerwise = argc == 3;
    std::ifstream manifest((folder + "manifest.txt").c_str());
    if (!manifest) {
        std::cerr << "cannot read " << folder << "manifest.txt; write vectors with intramix hls" << std::endl;
        return 3;
    }
    long maps = 0, images = 0, input_address = 0, input_length = 0, ignored = 0;
    std::vector<Check> checks;
    std::string line;
    while (std::getline(manifest, line)) {
        std::istringstream words(line);
        std::string key;
        words >> key;
        if (key == "maps") words >> maps;
        else if (key == "images") words >> images;
        else if (key == "input") words >> input_address >> input_length;
        else if (key == "check") {
            Check check;
            words >> check.address >> check.length;
            std::getline(words >> std::ws, check.name);
            checks.push_back(check);
        } else words >> ignored;
    }
    std::vector<unsigned char> weight_bytes, constant_bytes, table_bytes;
    if (!read_bytes(folder + "weights.bin", weight_bytes) || !read_bytes(folder + "constants.bin", constant_bytes) ||
        !read_bytes(folder + "table.bin", table_bytes) || images < 1 || checks.empty())
        return 3;
    std::vector<beat_t> weights(weight_bytes.size() / BEAT_BYTES);
    for (size_t index = 0; index < weights.size(); index++) weights[index] = beat_at(weight_bytes, index);
    std::vector<constant_t> constants(constant_bytes.size() / 8);
    for (size_t index = 0; index < constants.size(); index++) {
        unsigned long long value = 0;
        for (int octet = 0; octet < 8; octet++)
            value |= (unsigned long long)constant_bytes[8 * index + octet] << (8 * octet);
        constants[index] = value;
    }
    std::vector<ap_int<32> > table(table_bytes.size() / 4);
    for (size_t index = 0; index < table.size(); index++) {
        unsigned value = 0;
        for (int octet = 0; octet < 4; octet++) value |= unsigned(table_bytes[4 * index + octet]) << (8 * octet);
        table[index] = int(value);
    }
    if (weights.empty()) weights.resize(1);       // a network of pools alone
    if (constants.empty()) constants.resize(1);
    if (table.empty()) table.resize(1);
    long compared = 0, different = 0;
    for (long image = 0; image < images; image++) {
        std::ostringstream number;
        number << image;
        std::vector<unsigned char> input, expected;
        if (!read_bytes(folder + "input_" + number.str() + ".bin", input) ||
            !read_bytes(folder + "expected_" + number.str() + ".bin", expected))
            return 3;
        std::vector<beat_t> memory(maps + GUARD);
        for (size_t index = 0; index < memory.size(); index++) memory[index] = pattern(index);
        for (long index = 0; index < input_length; index++) memory[input_address + index] = beat_at(input, index);
        int status = 0;
        if (layerwise) {
            for (size_t layer = 0; layer < checks.size() && status == 0; layer++) {
                std::vector<beat_t> out(memory);
                status = run(memory, out, weights, constants, table, int(layer), 1);
                memory = out;
            }
        } else {
            status = run(memory, memory, weights, constants, table, 0, int(checks.size()));
        }
        if (status != 0) {
            std::cout << "status " << status << std::endl;
            return 2;
        }
        long place = 0;
        for (size_t layer = 0; layer < checks.size(); layer++) {
            const Check &check = checks[layer];
            long wrong = 0, first = -1;
            for (long index = 0; index < check.length; index++, place++) {
                if (memory[check.address + index] == beat_at(expected, place)) continue;
                if (wrong++ == 0) first = index;
            }
            compared += check.length;
            different += wrong;
            if (wrong)
                std::cout << "image " << image << ", map " << check.name << ": " << wrong << " of " << check.length
                          << " beats differ, first beat " << first << ": "
                          << memory[check.address + first].to_string(16) << ", not "
                          << beat_at(expected, place - check.length + first).to_string(16) << std::endl;
        }
        for (long index = maps; index < maps + GUARD; index++) {
            if (memory[index] != pattern(index)) {
                std::cout << "image " << image << ": beat " << index << " beyond the maps was written" << std::endl;
                different++;
            }
        }
    }
    std::cout << compared << " beats of " << checks.size() << " layers and " << images << " images compared, "
              << different << " differ" << std::endl;
    return different ? 1 : 0;
}

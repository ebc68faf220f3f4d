// Named arrays in one file with a checksum, as gapfit.lammps.array_file writes them.
//
// A header of 64 bytes: "GAPFITLAMMPS", version (uint32), bytes that follow (uint64), their
// CRC-32 (uint32), zeros. Then arrays, each a description (length of the name, type,
// dimensions: uint32, and 4 bytes 0; shape: uint64 each; name) and its numbers, both padded
// to whole lines of 64 bytes. Type 0 is float64, 1 int64, 2 text; all little-endian.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "simd.hpp"

namespace gapfit {

class FileError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <class T>
struct ArrayView {
    const T *data = nullptr;
    std::vector<std::size_t> shape;

    std::size_t size() const {
        std::size_t product = 1;
        for (const std::size_t n : shape) product *= n;
        return product;
    }
    const T *begin() const { return data; }
    const T *end() const { return data + size(); }
};

// What a file begins with; throws FileError unless it is one of ours.
struct FileHeader {
    static constexpr std::size_t size = 64;
    static constexpr std::uint32_t version = 1;

    explicit FileHeader(const char *bytes) {
        if (std::memcmp(bytes, "GAPFITLAMMPS", 12) != 0)
            throw FileError("is not a potential written by `gapfit export-lammps`");
        std::uint32_t found = 0;
        std::memcpy(&found, bytes + 12, sizeof found);
        if (found != version)
            throw FileError("has version " + std::to_string(found) +
                            " of the format, and this plugin reads version " +
                            std::to_string(version) +
                            "; export the model and build the plugin with one gapfit");
        std::memcpy(&n_bytes, bytes + 16, sizeof n_bytes);
        std::memcpy(&checksum, bytes + 24, sizeof checksum);
    }

    std::uint64_t n_bytes = 0;
    std::uint32_t checksum = 0;
};

// CRC-32 as in zlib, eight bytes at a time.
inline std::uint32_t crc32(const unsigned char *bytes, std::size_t n) {
    static const auto tables = [] {
        std::array<std::array<std::uint32_t, 256>, 8> out{};
        for (std::uint32_t k = 0; k < 256; ++k) {
            std::uint32_t value = k;
            for (int bit = 0; bit < 8; ++bit)
                value = (value >> 1) ^ (value & 1 ? 0xEDB88320u : 0u);
            out[0][k] = value;
        }
        for (std::size_t t = 1; t < 8; ++t)
            for (std::size_t k = 0; k < 256; ++k)
                out[t][k] = (out[t - 1][k] >> 8) ^ out[0][out[t - 1][k] & 0xFF];
        return out;
    }();
    std::uint32_t crc = 0xFFFFFFFFu;
    for (; n >= 8; n -= 8, bytes += 8) {
        std::uint32_t low, high;
        std::memcpy(&low, bytes, 4);
        std::memcpy(&high, bytes + 4, 4);
        low ^= crc;
        crc = tables[7][low & 0xFF] ^ tables[6][(low >> 8) & 0xFF] ^
              tables[5][(low >> 16) & 0xFF] ^ tables[4][low >> 24] ^
              tables[3][high & 0xFF] ^ tables[2][(high >> 8) & 0xFF] ^
              tables[1][(high >> 16) & 0xFF] ^ tables[0][high >> 24];
    }
    for (; n > 0; --n, ++bytes) crc = (crc >> 8) ^ tables[0][(crc ^ *bytes) & 0xFF];
    return ~crc;
}

// The arrays of a file, which stay where they were read to.
class ArrayFile {
  public:
    // body: what follows the header.
    ArrayFile(const FileHeader &header, Buffer body) : body_(std::move(body)) {
        const auto *bytes = reinterpret_cast<const unsigned char *>(body_.data());
        if (crc32(bytes, header.n_bytes) != header.checksum)
            throw FileError("is damaged (its checksum is wrong); export the model again");
        for (std::size_t at = 0; at < header.n_bytes;) at = add(at, header.n_bytes);
    }

    // Room for the body of a file.
    static Buffer room(const FileHeader &header) {
        return Buffer((header.n_bytes + 7) / 8);
    }

    bool has(const std::string &name) const { return entries_.count(name) > 0; }

    // Arrays by name; a negative dimension stands for any length. All numbers are finite,
    // and integers within a range.
    ArrayView<double> reals(const std::string &name, const std::vector<long> &shape) const {
        const auto found = view<double>(name, 0, shape);
        for (const double x : found)
            if (!std::isfinite(x)) refuse(name, short_text(x), "a finite number");
        return found;
    }
    ArrayView<std::int64_t> integers(const std::string &name,
                                     const std::vector<long> &shape, std::int64_t least,
                                     std::int64_t most) const {
        const auto found = view<std::int64_t>(name, 1, shape);
        for (const std::int64_t k : found)
            if (k < least || k > most)
                refuse(name, std::to_string(k),
                       std::to_string(least) + " to " + std::to_string(most));
        return found;
    }
    std::vector<std::int32_t> small_integers(const std::string &name,
                                             const std::vector<long> &shape,
                                             std::int32_t least, std::int32_t most) const {
        const auto found = integers(name, shape, least, most);
        return {found.begin(), found.end()};
    }
    double real(const std::string &name) const { return reals(name, {1}).data[0]; }
    // A number within a range, its ends included.
    double real(const std::string &name, double least, double most) const {
        const double found = real(name);
        if (found < least || found > most)
            refuse(name, short_text(found), short_text(least) + " to " + short_text(most));
        return found;
    }
    std::int32_t integer(const std::string &name, std::int32_t least,
                         std::int32_t most) const {
        return static_cast<std::int32_t>(integers(name, {1}, least, most).data[0]);
    }
    bool flag(const std::string &name) const { return integer(name, 0, 1) != 0; }
    // Of a dimension of an array, which numbers of 32 bits are to count.
    static std::int32_t length(const std::string &name, std::size_t n) {
        constexpr std::size_t most = std::size_t{1} << 28;
        if (n > most)
            refuse(name, "a length of " + std::to_string(n),
                   "at most " + std::to_string(most));
        return static_cast<std::int32_t>(n);
    }
    std::string text(const std::string &name) const {
        const ArrayView<char> found = view<char>(name, 2, {-1});
        return {found.data, found.size()};
    }

  private:
    struct Entry {
        std::uint32_t type = 0;
        std::vector<std::size_t> shape;
        const char *data = nullptr;
    };

    static std::size_t whole_lines(std::size_t n) { return (n + 63) / 64 * 64; }

    std::size_t add(std::size_t at, std::size_t end) {
        const char *bytes = reinterpret_cast<const char *>(body_.data());
        std::uint32_t head[4];
        require(at + sizeof head <= end);
        std::memcpy(head, bytes + at, sizeof head);
        const std::size_t name_length = head[0], n_dims = head[2];
        require(head[1] <= 2 && n_dims <= 8 && name_length <= 256);
        const std::size_t dims = at + sizeof head, name = dims + 8 * n_dims;
        const std::size_t data = whole_lines(name + name_length);
        require(data <= end);
        Entry entry;
        entry.type = head[1];
        std::size_t size = entry.type == 2 ? 1 : 8;
        for (std::size_t d = 0; d < n_dims; ++d) {
            std::uint64_t n = 0;
            std::memcpy(&n, bytes + dims + 8 * d, sizeof n);
            require(n == 0 || size <= end / n);
            size *= n;
            entry.shape.push_back(n);
        }
        require(size <= end - data);
        entry.data = bytes + data;
        entries_[std::string(bytes + name, name_length)] = entry;
        return data + whole_lines(size);
    }

    static std::string short_text(double x) {
        char text[32];
        std::snprintf(text, sizeof text, "%g", x);
        return text;
    }

    [[noreturn]] static void refuse(const std::string &name, const std::string &found,
                                    const std::string &wanted) {
        throw FileError("has " + found + " in the array " + name +
                        ", where there must be " + wanted + "; export the model again");
    }

    static void require(bool holds) {
        if (!holds) throw FileError("is damaged; export the model again");
    }

    template <class T>
    ArrayView<T> view(const std::string &name, std::uint32_t type,
                      const std::vector<long> &shape) const {
        const auto found = entries_.find(name);
        if (found == entries_.end())
            throw FileError("lacks the array " + name + "; export the model again");
        const Entry &entry = found->second;
        bool fits = entry.type == type && entry.shape.size() == shape.size();
        for (std::size_t d = 0; fits && d < shape.size(); ++d)
            fits = shape[d] < 0 || entry.shape[d] == static_cast<std::size_t>(shape[d]);
        if (!fits)
            throw FileError("has an array " + name +
                            " of another type or shape than it should; export the model "
                            "again");
        return {reinterpret_cast<const T *>(entry.data), entry.shape};
    }

    Buffer body_;
    std::map<std::string, Entry> entries_;
};

}  // namespace gapfit

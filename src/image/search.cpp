// Memory is cut into pieces, each searched by itself and keeping only its first hits; put one after
// the other they are the lowest ones, whoever searched which piece.
#include "heapscan/image/search.h"

#include <algorithm>
#include <cstring>

#include "heapscan/base/parallel.h"

namespace heapscan {

namespace {

constexpr size_t kPieceBytes = size_t{4} << 20;

struct SearchPiece {
  Addr begin;
  Bytes bytes;
};

// Each reaches `beyond` bytes into the next one, so that nothing is missed that lies across a cut.
std::vector<SearchPiece> pieces_of(const MemoryImage& image, size_t beyond) {
  std::vector<SearchPiece> pieces;
  image.for_each_span({Addr(0), Addr(~uint64_t{0})}, [&](Addr begin, Bytes bytes) {
    for (size_t at = 0; at < bytes.size(); at += kPieceBytes) {
      const size_t size = std::min(kPieceBytes + beyond, bytes.size() - at);
      pieces.push_back({begin + at, bytes.subspan(at, size)});
    }
  });
  return pieces;
}

// `search(piece, found)` calls found(address) for each hit that begins in the piece, in order.
template <typename Search>
Hits search_pieces(const std::vector<SearchPiece>& pieces, size_t most, Search&& search) {
  std::vector<Hits> parts(pieces.size());
  parallel_for(pieces.size(), [&](size_t i) {
    Hits& part = parts[i];
    search(pieces[i], [&part, most](Addr at) {
      if (part.first.size() < most) part.first.push_back(at);
      ++part.total;
    });
  });
  Hits hits;
  for (const Hits& part : parts) {
    hits.total += part.total;
    const size_t wanted = std::min(part.first.size(), most - hits.first.size());
    hits.first.insert(hits.first.end(), part.first.begin(),
                      part.first.begin() + static_cast<std::ptrdiff_t>(wanted));
  }
  return hits;
}

template <typename T>
Hits find_numbers_of(const MemoryImage& image, uint64_t least, uint64_t greatest, size_t most) {
  return search_pieces(pieces_of(image, sizeof(T) - 1), most,
                       [least, greatest](const SearchPiece& piece, auto&& found) {
                         const std::byte* const data = piece.bytes.data();
                         for (size_t i = piece.begin.align_up(sizeof(T)) - piece.begin;
                              i < kPieceBytes && i + sizeof(T) <= piece.bytes.size();
                              i += sizeof(T)) {
                           if (uint64_t{load<T>(data + i)} - least <= greatest - least)
                             found(piece.begin + i);
                         }
                       });
}

}  // namespace

Hits find_numbers(const MemoryImage& image, uint64_t least, uint64_t greatest, size_t width,
                  size_t most) {
  if (greatest < least) return {};
  switch (width) {
    case 1:
      return find_numbers_of<uint8_t>(image, least, greatest, most);
    case 2:
      return find_numbers_of<uint16_t>(image, least, greatest, most);
    case 4:
      return find_numbers_of<uint32_t>(image, least, greatest, most);
    default:
      return find_numbers_of<uint64_t>(image, least, greatest, most);
  }
}

Hits find_bytes(const MemoryImage& image, Bytes wanted, size_t most) {
  if (wanted.empty()) return {};
  return search_pieces(
      pieces_of(image, wanted.size() - 1), most, [wanted](const SearchPiece& piece, auto&& found) {
        const std::byte* const begin = piece.bytes.data();
        const std::byte* const end = begin + piece.bytes.size();
        for (const std::byte* at = begin; at < end; ++at) {
          at = static_cast<const std::byte*>(
              memmem(at, static_cast<size_t>(end - at), wanted.data(), wanted.size()));
          if (at == nullptr || at - begin >= static_cast<std::ptrdiff_t>(kPieceBytes)) return;
          found(piece.begin + static_cast<uint64_t>(at - begin));
        }
      });
}

}  // namespace heapscan

// A fake program with classes and families written down by hand: what recognisers are asked about.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/symbols/symbols.h"
#include "heapscan/symbols/types.h"
#include "identify/inputs.h"
#include "support/fake_program.h"

namespace heapscan {

class RecogniserWorld {
 public:
  // Module data, one word behind the other, from the begin of the strong roots.
  Addr data(const std::vector<uint64_t>& words) {
    const Addr begin = next_;
    for (const uint64_t word : words) {
      program.poke(next_, word);
      next_ = next_ + 8;
    }
    return begin;
  }

  Addr string(std::string_view text) {
    const Addr begin = next_;
    for (size_t i = 0; i <= text.size(); i += 8) {
      uint64_t word = 0;
      for (size_t k = 0; k < 8 && i + k < text.size(); ++k)
        word |= uint64_t{static_cast<unsigned char>(text[i + k])} << 8 * k;
      data({word});
    }
    return begin;
  }

  // The address point of the primary vtable of a class with that type_info name.
  Addr vtable(std::string_view mangled, int64_t offset_to_top = 0) {
    return data({static_cast<uint64_t>(offset_to_top), type_info(mangled).value,
                 FakeProgram::kCode + 0x10, FakeProgram::kCode + 0x20}) +
           16;
  }

  Addr type_info(std::string_view mangled) {
    Addr& place = type_infos_[std::string(mangled)];
    if (place.is_null()) place = data({abi_vptr().value, string(mangled).value});
    return place;
  }

  void symbol(std::string name, Addr address, uint64_t size = 8) {
    symbol_rows_.push_back({std::move(name), address, size});
  }

  FamilyId family(std::vector<Addr> members, Shape shape = Shape::Record) {
    members_.push_back({std::move(members), shape});
    return FamilyId(members_.size() - 1);
  }

  // May be called once, after everything was laid out.
  const Inputs& inputs() {
    world_ = program.build();
    SymbolsBuilder builder(world_.image);
    for (const SymbolEntry& row : symbol_rows_)
      builder.add(ModuleId(0), {.name = row.name, .address = row.address, .size = row.size});
    symbols_ = builder.freeze();
    reach_ = world_.trace();
    make_families();
    addresses_ = std::make_unique<AddressMap>(world_.image, world_.runtime, world_.heap);
    for (size_t i = 0; i < families_.rows.size(); ++i)
      profiles_.push_back(make_profile(world_.image, *addresses_, world_.heap,
                                       families_.rows[FamilyId(i)].samples, Profile::kProfiled,
                                       &families_));
    inputs_ = std::make_unique<Inputs>(Inputs{{world_.image, symbols_, world_.runtime, world_.heap,
                                               world_.roots, reach_, families_, *addresses_},
                                              types_,
                                              profiles_});
    return *inputs_;
  }

  FakeProgram program;

 private:
  struct SymbolEntry {
    std::string name;
    Addr address;
    uint64_t size;
  };
  struct Members {
    std::vector<Addr> blocks;
    Shape shape;
  };

  // The vtable of __class_type_info itself, whose type_info is an __si_class_type_info that points
  // at it again, as in libstdc++.
  Addr abi_vptr() {
    if (abi_vptr_.is_null()) {
      const Addr name = string("N10__cxxabiv117__class_type_infoE");
      const Addr info = data({0, name.value});
      abi_vptr_ = data({0, info.value, FakeProgram::kCode}) + 16;
      program.poke(info, abi_vptr_);
    }
    return abi_vptr_;
  }

  void make_families() {
    std::map<BlockId, FamilyId> family_of;
    for (const Members& members : members_) {
      Family row;
      row.shape = members.shape;
      std::map<uint64_t, uint64_t> sizes;
      for (const Addr begin : members.blocks) {
        const BlockId id = world_.heap.block_at(begin);
        const uint64_t size = world_.heap.block(id).size();
        row.bytes += size;
        ++row.blocks;
        ++sizes[size];
        if (row.samples.size() < Family::kSamples) row.samples.push_back(id);
        family_of[id] = FamilyId(families_.rows.size());
      }
      row.sizes.assign(sizes.begin(), sizes.end());
      row.portrait = families_.rows.size() + 1;
      families_.rows.push_back(std::move(row));
    }
    for (const auto& [block, family] : family_of) {
      families_.blocks.push_back(block);
      families_.family_of.push_back(family);
    }
  }

  Addr next_{FakeProgram::kStrong + 0x1000};
  Addr abi_vptr_;
  std::map<std::string, Addr> type_infos_;
  std::vector<SymbolEntry> symbol_rows_;
  std::vector<Members> members_;
  FakeProgram::World world_;
  Symbols symbols_;
  Types types_;
  Reachability reach_;
  Families families_;
  std::unique_ptr<AddressMap> addresses_;
  Column<FamilyId, Profile> profiles_;
  std::unique_ptr<Inputs> inputs_;
};

}  // namespace heapscan

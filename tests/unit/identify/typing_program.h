// A fake program whose blocks have types: what the tests of typing are made of.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/symbols/types.h"
#include "identify/inputs.h"
#include "support/fake_program.h"

namespace heapscan {

class TypingProgram {
 public:
  // Types, by the names source code gives them.
  TypeId integer(uint64_t size) { return basic(TypeKind::Integer, size, "int"); }
  TypeId character() { return basic(TypeKind::Character, 1, "char"); }
  TypeId boolean() { return basic(TypeKind::Boolean, 1, "bool"); }
  TypeId floating() { return basic(TypeKind::Float, 8, "double"); }
  TypeId function() { return basic(TypeKind::Function, 0, ""); }
  TypeId pointer_to(TypeId target) {
    return types.add({.kind = TypeKind::Pointer, .size = 8, .target = target});
  }
  TypeId array_of(TypeId element, uint64_t count) {
    return types.add({.kind = TypeKind::Array, .target = element, .count = count});
  }
  TypeId record(const std::string& name, uint64_t size, TypeKind kind = TypeKind::Struct) {
    return types.add({.kind = kind, .size = size, .name = name});
  }
  void members(TypeId id, std::vector<Member> members) {
    types.set_members(id, std::move(members));
  }
  // A global that holds `value`, of type pointer to `target`.
  void global_pointer(const std::string& name, TypeId target, Addr value) {
    const Addr at = program.strong_root(value);
    types.add_variable({name, ModuleId(0), at, false, pointer_to(target)});
  }

  // `count` blocks of that size, one family.
  std::vector<Addr> family(size_t count, uint64_t size, Shape shape = Shape::Record) {
    std::vector<Addr> blocks;
    for (size_t i = 0; i < count; ++i) blocks.push_back(program.block(size));
    group(blocks, shape);
    return blocks;
  }
  void group(const std::vector<Addr>& blocks, Shape shape = Shape::Record) {
    groups_.emplace_back(blocks, shape);
  }
  void poke_text(Addr at, const std::string& text) {
    for (size_t i = 0; i <= text.size(); i += 8) {
      uint64_t word = 0;
      for (size_t j = std::min(text.size(), i + 8); j-- > i;)
        word = word << 8 | static_cast<unsigned char>(text[j]);
      program.poke(at + i, word);
    }
  }
  // May be called once; what it returns stays valid as long as the program.
  const Inputs& inputs();

  FakeProgram program;
  TypesBuilder types;

 private:
  TypeId basic(TypeKind kind, uint64_t size, const std::string& name) {
    return types.add({.kind = kind, .size = size, .name = name});
  }
  void make_families();

  std::vector<std::pair<std::vector<Addr>, Shape>> groups_;
  FakeProgram::World world_;
  Symbols symbols_;
  Types frozen_;
  Reachability reach_;
  Families families_;
  std::unique_ptr<AddressMap> addresses_;
  Column<FamilyId, Profile> profiles_;
  std::unique_ptr<Inputs> inputs_;
};

// The label of the strongest evidence; empty when there is none.
[[nodiscard]] std::string strongest_label(const std::vector<Evidence>& evidence);
[[nodiscard]] const Evidence* find_kind(const std::vector<Evidence>& evidence, EvidenceKind kind);

}  // namespace heapscan

// Objects of libraries that programs forget, and what only looks like them.
#include <cstring>

#include "identify/recognisers/library_structs.h"
#include "identify/recognisers/recognisers.h"
#include "unit/identify/recogniser_world.h"

namespace heapscan {
namespace {

class LibraryObjects : public testing::Test {
 protected:
  Addr block(const std::vector<uint64_t>& words, uint64_t size = 0) {
    const Addr begin = world_.program.block(std::max<uint64_t>(size, 8 * words.size()));
    for (size_t i = 0; i < words.size(); ++i) poke(begin + 8 * i, words[i]);
    return begin;
  }
  void poke(Addr at, uint64_t value) { world_.program.poke(at, value); }
  void poke(Addr at, Addr value) { world_.program.poke(at, value); }
  Addr text(std::string_view text, uint64_t size = 0) {
    std::vector<uint64_t> words((text.size() + 8) / 8);
    std::memcpy(words.data(), text.data(), text.size());
    return block(words, size);
  }
  std::string label(Addr begin) {
    const FamilyId id = world_.family({begin});
    const auto evidence = recognise_library(world_.inputs(), id);
    return evidence ? evidence->label : "";
  }
  static constexpr uint64_t kFunction = FakeProgram::kCode + 0x40;
  RecogniserWorld world_;
};

// {length, type, data, flags}
class Certificates : public LibraryObjects {
 protected:
  Addr time(std::string_view written, uint64_t type = 23) {
    return block({type << 32 | written.size(), text(written).value, 0});
  }
  Addr name() { return block({block({1, 2}).value, 0, 0, 0, 0}); }
  Addr certificate(Addr first, Addr last, uint64_t serial_type = 2) {
    const Addr begin = block(std::vector<uint64_t>(45, 0));
    poke(begin + 8, serial_type << 32 | 1);
    poke(begin + 0x30, name());
    poke(begin + 0x38, first);
    poke(begin + 0x40, last);
    poke(begin + 0x48, name());
    poke(begin + 0x98, uint64_t{3} << 32 | 71);
    return begin;
  }
};

TEST_F(Certificates, HaveNamesAndTwoTimes) {
  EXPECT_EQ(label(certificate(time("251120100000Z"), time("20751120100000Z", 24))), "X509");
}
TEST_F(Certificates, HaveTimesOfDigits) {
  EXPECT_EQ(label(certificate(time("251120100000Z"), time("never expires"))), "");
}
TEST_F(Certificates, HaveASerialNumber) {
  EXPECT_EQ(label(certificate(time("251120100000Z"), time("261120100000Z"), 4)), "");
}

class Sessions : public LibraryObjects {
 protected:
  Addr session(uint64_t key_room, uint64_t id_length, uint64_t made) {
    const Addr begin = block(std::vector<uint64_t>(115, 0));
    const Addr id = begin + 0x50 + key_room + 8;
    poke(begin, 0x303);
    poke(id - 8, id_length);
    for (uint64_t i = 0; i < 32; i += 8) poke(id + i, 0x0123456789abcdef + i);
    poke(id + 96, made);
    return begin;
  }
};

TEST_F(Sessions, HaveIdsAsLongAsTheySay) {
  EXPECT_EQ(label(session(512, 32, 1'795'168'800)), "SSL_SESSION");
}
TEST_F(Sessions, OfOlderVersionsHaveLessRoomForTheKey) {
  EXPECT_EQ(label(session(256, 32, 1'795'168'800)), "SSL_SESSION");
}
TEST_F(Sessions, HaveNothingBehindTheId) { EXPECT_EQ(label(session(512, 16, 1'795'168'800)), ""); }
TEST_F(Sessions, WereMadeAtSomeTime) { EXPECT_EQ(label(session(512, 32, 77)), ""); }

class Streams : public LibraryObjects {
 protected:
  // Without its stream.
  Addr inflater(uint64_t bits_and_size, uint64_t next) {
    const Addr begin = block({0, 16180}, 7160);
    poke(begin + 56, bits_and_size);
    poke(begin + 104, begin + 1368);
    poke(begin + 112, begin + 1368);
    poke(begin + 144, begin + next);
    return begin;
  }
  Addr deflater(uint64_t size, uint64_t bits, uint64_t room) {
    const Addr begin = block({0, 113, block({0}, 264).value}, 5960);
    poke(begin + 80, bits << 32 | size);
    poke(begin + 88, size - 1);
    poke(begin + 96, block({0}, 2 * room));
    poke(begin + 112, block({0}, 2 * room));
    poke(begin + 120, block({0}, 2 * room));
    poke(begin + 128, size << 32);
    poke(begin + 136, (size - 1) << 32 | bits);
    return begin;
  }
};

TEST_F(Streams, ThatAreGoneLeaveAnInflaterWithTablesOfItsOwn) {
  EXPECT_EQ(label(inflater(15, 1368)), "struct inflate_state");
}
TEST_F(Streams, InflatersBuildTheirTablesWithinThemselves) {
  EXPECT_EQ(label(inflater(15, 9000)), "");
}
TEST_F(Streams, InflatersHaveAWindowOfSoManyBits) {
  EXPECT_EQ(label(inflater(uint64_t{1000} << 32 | 15, 1368)), "");
}
TEST_F(Streams, ThatAreGoneLeaveADeflaterWithAWindowAsLongAsItSays) {
  EXPECT_EQ(label(deflater(4096, 12, 4096)), "deflate_state");
}
TEST_F(Streams, DeflatersHaveTheirWindow) { EXPECT_EQ(label(deflater(4096, 12, 512)), ""); }
TEST_F(Streams, DeflatersHaveAWindowOfSoManyBits) {
  EXPECT_EQ(label(deflater(4096, 11, 4096)), "");
}

class XPath : public LibraryObjects {
 protected:
  Addr context(size_t functions, uint64_t position = ~uint64_t{0}) {
    const Addr entries = block(std::vector<uint64_t>(200, 0));
    for (size_t i = 0; i < functions; ++i) poke(entries + 40 * i + 32, kFunction + 16 * i);
    const Addr begin = block(std::vector<uint64_t>(47, 0));
    poke(begin + 56, block({entries.value, 256, functions, 0}));
    poke(begin + 104, position);
    return begin;
  }
};

TEST_F(XPath, ContextsHaveATableOfFunctions) { EXPECT_EQ(label(context(30)), "xmlXPathContext"); }
TEST_F(XPath, ContextsWithoutFunctionsAndDocumentSayNothing) { EXPECT_EQ(label(context(3)), ""); }
TEST_F(XPath, ContextsHaveNoPositionYet) { EXPECT_EQ(label(context(30, 7)), ""); }
TEST_F(XPath, ContextsOfADocumentNeedNoFunctions) {
  const Addr document = block({0, 9}, 184);
  poke(document + 64, document);
  const Addr begin = block(std::vector<uint64_t>(47, 0));
  poke(begin, document);
  poke(begin + 8, document);
  poke(begin + 104, ~uint64_t{0});
  EXPECT_EQ(label(begin), "xmlXPathContext");
}

class JsonObjects : public LibraryObjects {
 protected:
  Addr object(uint64_t type, uint64_t writer) {
    return block({uint64_t{1} << 32 | type, writer}, 56);
  }
};

TEST_F(JsonObjects, NameTheLibrarysWriter) {
  world_.symbol("json_object_object_to_json_string", Addr(kFunction), 64);
  EXPECT_EQ(label(object(4, kFunction)), "json_object");
}
TEST_F(JsonObjects, OfAnotherLibraryAreNone) {
  world_.symbol("frame_write", Addr(kFunction), 64);
  EXPECT_EQ(label(object(4, kFunction)), "");
}
TEST_F(JsonObjects, HaveOneOfSixTypes) {
  world_.symbol("json_object_object_to_json_string", Addr(kFunction), 64);
  EXPECT_EQ(label(object(9, kFunction)), "");
}

class Results : public LibraryObjects {
 protected:
  Addr result(uint64_t rows, uint64_t left) {
    const Addr values = block({0}, 2056);
    const Addr begin = block(std::vector<uint64_t>(27, 0));
    poke(begin, uint64_t{2} << 32 | rows);
    poke(begin + 8, values + 8);
    poke(begin + 16, block({0}, 1032));
    poke(begin + 24, 128);
    poke(begin + 40, 2);
    poke(begin + 192, values);
    poke(begin + 200, left << 32 | (2048 - 1723));
    return begin;
  }
};

TEST_F(Results, HaveValuesInABlockOfAKnownSize) { EXPECT_EQ(label(result(3, 1723)), "PGresult"); }
TEST_F(Results, KnowWhatIsLeftOfThatBlock) { EXPECT_EQ(label(result(3, 1700)), ""); }
TEST_F(Results, HaveNoMoreRowsThanRoom) { EXPECT_EQ(label(result(300, 1723)), ""); }

class Statements : public LibraryObjects {
 protected:
  Addr database(std::string_view files) {
    std::vector<uint64_t> words{3, 512, 0, world_.string(files).value, 0};
    for (uint64_t i = 0; i < 6; ++i) words.push_back(kFunction + 16 * i);
    const Addr file_system = world_.data(words);
    return block({0x1f0, file_system.value}, 520) + 8;
  }
  // Behind the size that SQLite keeps in front of what it allocates.
  Addr statement() { return block(std::vector<uint64_t>(39, 0)) + 8; }
  void link(Addr database, Addr first, Addr second) {
    poke(database + 8, first);
    poke(first, database);
    poke(second, database);
    poke(first + 8, database + 8);
    poke(first + 16, second);
    poke(second + 8, first + 16);
  }
};

TEST_F(Statements, AreInTheirDatabasesList) {
  const Addr first = statement();
  const Addr second = statement();
  link(database("unix"), first, second);
  EXPECT_EQ(label(first - 8), "sqlite3_stmt");
}
TEST_F(Statements, OfAnotherOwnersListAreNone) {
  const Addr first = statement();
  const Addr second = statement();
  link(block({0, kFunction}, 520) + 8, first, second);
  EXPECT_EQ(label(first - 8), "");
}
TEST_F(Statements, AreNamedByTheirNeighbours) {
  const Addr first = statement();
  const Addr second = statement();
  link(database("unix"), first, second);
  poke(second + 8, 0);
  EXPECT_EQ(label(first - 8), "");
}

class Tables : public LibraryObjects {
 protected:
  static uint64_t hash_of(std::string_view key) {
    auto hash = static_cast<uint32_t>(key.size());
    for (size_t i = key.size(); i-- > 0;) hash = (hash << 4) + static_cast<uint8_t>(key[i]);
    return hash;
  }
  Addr table(uint64_t size, std::string_view key, uint64_t hash) {
    const Addr begin = block(std::vector<uint64_t>(3 * (size + 1), 0));
    poke(begin + 48, hash);
    poke(begin + 56, text(key));
    return begin;
  }
};

TEST_F(Tables, OfHsearchHoldKeysWithTheirHashes) {
  const Addr entries = table(23, "alpha", hash_of("alpha"));
  EXPECT_EQ(label(block({entries.value, uint64_t{1} << 32 | 23})), "struct hsearch_data");
}
TEST_F(Tables, OfHsearchAreKnownAlone) {
  EXPECT_EQ(label(table(23, "alpha", hash_of("alpha"))), "hsearch table");
}
TEST_F(Tables, WithOtherHashesAreNotHsearchs) {
  EXPECT_EQ(label(table(23, "alpha", hash_of("alpha") + 1)), "");
}
TEST_F(Tables, OfHsearchHaveAPrimeSize) {
  const Addr entries = table(24, "alpha", hash_of("alpha"));
  EXPECT_EQ(label(block({entries.value, uint64_t{1} << 32 | 24})), "");
}

class Backtraces : public LibraryObjects {
 protected:
  Addr strings(std::initializer_list<std::string_view> lines) {
    std::string all(8 * lines.size(), '\0');
    std::vector<size_t> places;
    for (const std::string_view line : lines) {
      places.push_back(all.size());
      all += std::string(line) + '\0';
    }
    std::vector<uint64_t> words((all.size() + 7) / 8);
    std::memcpy(words.data(), all.data(), all.size());
    const Addr begin = block(words);
    for (size_t i = 0; i < places.size(); ++i) poke(begin + 8 * i, begin + places[i]);
    return begin;
  }
};

TEST_F(Backtraces, LieBehindThePointersToThem) {
  EXPECT_EQ(label(strings({"./shop(main+0x1f) [0x55d2c0]", "/lib/libc.so.6(+0x27) [0x7f10]"})),
            "backtrace_symbols");
}
TEST_F(Backtraces, OtherListsOfStringsAreNone) {
  EXPECT_EQ(label(strings({"--config=/etc/shop.conf", "--verbose"})), "");
}

TEST_F(LibraryObjects, ActionsOfSpawnAreAsManyAsTheySay) {
  const Addr actions = block(std::vector<uint64_t>(32, 0));
  poke(actions, 2);
  poke(actions + 8, 1);
  poke(actions + 16, text("/dev/null"));
  EXPECT_EQ(label(block({uint64_t{1} << 32 | 8, actions.value}, 88)), "posix_spawn_file_actions_t");
}
TEST_F(LibraryObjects, ActionsOfSpawnAreOfKnownKinds) {
  const Addr actions = block(std::vector<uint64_t>(32, 0));
  poke(actions, 99);
  EXPECT_EQ(label(block({uint64_t{1} << 32 | 8, actions.value}, 88)), "");
}

// Variants.
class Variants : public LibraryObjects {
 protected:
  bool is_variant(Addr begin) {
    const FamilyId id = world_.family({begin});
    const Inputs& inputs = world_.inputs();
    const auto sample = sample_of(inputs, inputs.families.rows[id].samples.front());
    for (const KnownStruct& known : glib_structs()) {
      if (std::string_view(known.label) == "GVariant" && is_one(inputs, *sample, known))
        return true;
    }
    return false;
  }
  Addr basic_type() { return world_.data({4, 3}); }
};

TEST_F(Variants, HoldTheirBytes) {
  const Addr data = block({7});
  const Addr bytes = block({data.value, 4, 1, 0, 0});
  EXPECT_TRUE(is_variant(block({basic_type().value, 4, bytes.value, data.value, ~uint64_t{0},
                                ~uint64_t{0}, uint64_t{1} << 32 | 6, 0},
                               72)));
}
TEST_F(Variants, HoldNoMoreThanTheirBytes) {
  const Addr data = block({7});
  const Addr bytes = block({data.value, 4, 1, 0, 0});
  EXPECT_FALSE(is_variant(block({basic_type().value, 400, bytes.value, data.value, ~uint64_t{0},
                                 ~uint64_t{0}, uint64_t{1} << 32 | 6, 0},
                                72)));
}
TEST_F(Variants, OfContainersHoldChildren) {
  const Addr type = block({0, uint64_t{'a'} << 8 | 7, 1, 0});
  EXPECT_TRUE(is_variant(block(
      {type.value, ~uint64_t{0}, block({1, 2}).value, 2, 0, 0, uint64_t{1} << 32 | 4, 0}, 72)));
}

// {key, left, right}; the colour is the lowest bit of `left`.
class SearchTrees : public LibraryObjects {
 protected:
  Addr node() { return block({world_.string("key").value, 0, 0}); }
  void link(Addr node, Addr left, Addr right, bool red) {
    poke(node + 8, left.value | (red ? 1 : 0));
    poke(node + 16, right);
  }
  std::vector<std::string> labels(size_t families) {
    const auto found = recognise_search_trees(world_.inputs(), families);
    std::vector<std::string> labels;
    for (size_t i = 0; i < families; ++i)
      labels.push_back(found[FamilyId(i)] ? found[FamilyId(i)]->label : "");
    return labels;
  }
};

TEST_F(SearchTrees, AreBalancedByColour) {
  const Addr root = node();
  const Addr left = node();
  const Addr right = node();
  link(root, left, right, false);
  link(left, Addr(), Addr(), true);
  link(right, Addr(), Addr(), true);
  world_.family({root});
  world_.family({left, right});
  EXPECT_EQ(labels(2), (std::vector<std::string>{"node of tsearch()", "node of tsearch()"}));
}
TEST_F(SearchTrees, WithoutColoursAreSomebodysOwn) {
  const Addr root = node();
  const Addr left = node();
  const Addr right = node();
  link(root, left, right, false);
  world_.family({root});
  world_.family({left, right});
  EXPECT_EQ(labels(2), (std::vector<std::string>{"", ""}));
}
TEST_F(SearchTrees, ThatLeanToOneSideAreNoneOfTsearch) {
  std::vector<Addr> nodes;
  for (int i = 0; i < 6; ++i) nodes.push_back(node());
  for (size_t i = 0; i + 1 < nodes.size(); ++i) link(nodes[i], Addr(), nodes[i + 1], i % 2 == 1);
  world_.family(nodes);
  EXPECT_EQ(labels(1), (std::vector<std::string>{""}));
}

class Coroutines : public LibraryObjects {
 protected:
  std::string frame(uint64_t resume, uint64_t destroy) {
    const FamilyId id = world_.family({block({resume, destroy, 7}, 120)});
    const auto evidence = recognise_coroutine(world_.inputs(), id);
    return evidence ? evidence->label : "";
  }
  static constexpr uint64_t kDestroy = FakeProgram::kCode + 0x200;
};

TEST_F(Coroutines, OfGccAreNamedByTheirActor) {
  world_.symbol("_Z5fetchPZ5fetchiE12_Z5fetchi.Frame.actor", Addr(kFunction), 64);
  world_.symbol("_Z5fetchPZ5fetchiE12_Z5fetchi.Frame.destroy", Addr(kDestroy), 16);
  EXPECT_TRUE(frame(kFunction, kDestroy).starts_with("coroutine frame of "));
}
TEST_F(Coroutines, OfClangAreNamedByWhatResumesThem) {
  world_.symbol("_Z5fetchi.resume", Addr(kFunction), 64);
  world_.symbol("_Z5fetchi.destroy", Addr(kDestroy), 16);
  EXPECT_EQ(frame(kFunction, kDestroy), "coroutine frame of fetch");
}
TEST_F(Coroutines, ThatAreDoneCannotBeResumed) {
  world_.symbol("_Z5fetchi.destroy", Addr(kDestroy), 16);
  EXPECT_EQ(frame(0, kDestroy), "coroutine frame of fetch");
}
TEST_F(Coroutines, TwoFunctionsOfDifferentNamesAreCallbacks) {
  world_.symbol("on_read", Addr(kFunction), 64);
  world_.symbol("on_write", Addr(kDestroy), 16);
  EXPECT_EQ(frame(kFunction, kDestroy), "");
}
TEST(NamesPeopleKnow, ReplaceThoseOfLibrariesInside) {
  EXPECT_EQ(name_people_know("struct locked_FILE"), "FILE");
  EXPECT_EQ(name_people_know("struct __dirstream"), "DIR");
  EXPECT_EQ(name_people_know("struct re_dfa_t"), "regex_t (re_dfa_t)");
  EXPECT_EQ(name_people_know("struct session"), "struct session");
  EXPECT_EQ(name_people_know("fetch::_Z5fetchi.Frame"), "coroutine frame of fetch");
  EXPECT_EQ(name_people_know("video::Frame"), "video::Frame");
}

TEST(NamesOfFunctions, HaveNoParameters) {
  EXPECT_EQ(name_of_function("_Z5fetchi"), "fetch");
  EXPECT_EQ(name_of_function("main"), "main");
  EXPECT_EQ(name_of_function("_ZN3FooclEi"), "Foo::operator()");
}

}  // namespace
}  // namespace heapscan

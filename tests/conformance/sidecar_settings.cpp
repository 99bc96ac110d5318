// The suite over services and their sidecar, with either kind of rings.
#include <ferry/sidecar_transport.hpp>

#include <memory>
#include <utility>

#include "sidecar/sidecar.hpp"
#include "testing/sidecar_entities.hpp"
#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

template <bool is_native>
std::shared_ptr<void> make_sidecar(context& where, const temp_dir& dir) {
  add_sidecar_transport(where);
  sidecar::settings with;
  for (const std::uint32_t entity : {101u, 201u}) {
    with.entities.push_back(small_entity(dir, entity));
    with.entities.back().native = is_native;
  }
  with.message_age = {};
  with.return_undeliverable = true;
  auto made = sidecar::daemon::open(where, with);
  if (!made) throw failure(made.error().reason(), 0, made.error().text());
  return std::make_shared<sidecar::daemon>(std::move(*made));
}

constexpr setting k_settings[] = {
    {"sidecar", framing_kind::varint, senders_kind::many, make_sidecar<true>},
    {"sidecar_compatible", framing_kind::typed, senders_kind::one, make_sidecar<false>},
};

INSTANTIATE_TEST_SUITE_P(beside, transport, ::testing::ValuesIn(k_settings),
                         [](const auto& one) { return name_of(one.param); });

}  // namespace
}  // namespace ferry::test

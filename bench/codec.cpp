// ferry_bench_codec: the loops of the WebSocket codec that every byte goes through, and what a message costs beside
// them. Google Benchmark prints the machine; what comes out is checked once before each is timed.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/utf8_validator.hpp"
#include "codec/websocket_decoder.hpp"
#include "codec/websocket_encoder.hpp"

namespace {

using namespace ferry;
using namespace ferry::codec;

constexpr websocket_mask_key k_key{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};
constexpr std::int64_t k_in_first_level_cache = 16384;

void require(bool holds) {
  if (!holds) std::abort();
}

/// What the machine can do: range(0) bytes read and written, by the C library.
void copy(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  std::vector<std::byte> from(size, std::byte{1});
  std::vector<std::byte> to(size);
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), size);
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
  }
  require(from == to);
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(copy)->Arg(k_in_first_level_cache);

/// range(0) bytes, range(1) bytes behind an aligned address.
void unmask(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const auto behind = static_cast<std::size_t>(state.range(1));
  std::vector<std::byte> memory(size + behind, std::byte{1});
  const auto data = mutable_bytes(memory).subspan(behind);
  apply_websocket_mask(data, k_key);
  for (std::size_t i = 0; i < size; ++i) require(data[i] == (k_key[i % 4] ^ std::byte{1}));
  for (auto _ : state) {
    apply_websocket_mask(data, k_key);
    benchmark::DoNotOptimize(memory.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(unmask)
    ->Args({128, 0})
    ->Args({1024, 0})
    ->Args({k_in_first_level_cache, 0})
    ->Args({k_in_first_level_cache, 1});

void utf8(benchmark::State& state, const char* unit) {
  std::string text;
  while (text.size() < static_cast<std::size_t>(state.range(0))) text.append(unit);
  require(is_utf8(as_bytes(text)) && !is_utf8(as_bytes(text + '\xff')));
  for (auto _ : state) {
    utf8_validator check;
    benchmark::DoNotOptimize(check.feed(as_bytes(text)));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK_CAPTURE(utf8, ascii, "plain words ")->Arg(k_in_first_level_cache);
BENCHMARK_CAPTURE(utf8, mixed, "pl\xc3\xa9in \xe2\x82\xac w\xf0\x9f\x98\x80rds and some of ASCII until here ")
    ->Arg(k_in_first_level_cache);
BENCHMARK_CAPTURE(utf8, chinese, "\xe4\xb8\xad\xe6\x96\x87")->Arg(k_in_first_level_cache);

/// 64 masked messages of range(0) bytes in one buffer, as a server hears them.
void decode(benchmark::State& state) {
  const std::vector<std::byte> payload(static_cast<std::size_t>(state.range(0)), std::byte{'x'});
  websocket_encoder client({.keys = {[](void*) { return websocket_mask_key{}; }, nullptr}});
  std::vector<std::byte> one(client.bound(payload.size()));
  one.resize(client.encode({payload}, one).value());
  std::vector<std::byte> wire;
  constexpr int k_messages = 64;
  for (int i = 0; i < k_messages; ++i) wire.insert(wire.end(), one.begin(), one.end());
  buffer_pool pool;
  const websocket_decoder_options options;
  websocket_decoder decoder(pool, options);
  for (auto _ : state) {
    int heard = 0;
    mutable_bytes rest(wire);
    for (;;) {
      const auto event = decoder.next(rest, {});
      rest = rest.subspan(event->consumed);
      if (event->what == websocket_event_kind::need_more) break;
      heard += event->message.payload.size() == payload.size() ? 1 : 0;
    }
    require(heard == k_messages && rest.empty());
  }
  state.SetItemsProcessed(state.iterations() * k_messages);
}
BENCHMARK(decode)->Arg(20)->Arg(125)->Arg(1024);

}  // namespace

BENCHMARK_MAIN();

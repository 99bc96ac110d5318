#include <ferry/buffer_pool.hpp>
#include <ferry/error.hpp>
#include <ferry/message.hpp>

int main() {
  ferry::buffer_pool pool;
  const auto text = ferry::as_bytes("kept");
  const auto kept = ferry::message::copy_of({text}, pool);
  const ferry::result<int> failed = ferry::error(ferry::errc::timeout);
  return kept.text() == "kept" && failed.error() == ferry::errc::timeout ? 0 : 1;
}

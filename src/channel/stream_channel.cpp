#include "channel/stream_channel.hpp"

#include "channel/stream_channel_data.ipp"
#include "channel/stream_channel_link.ipp"
#include "codec/parts_framing.hpp"
#include "codec/typed_framing.hpp"
#include "codec/u32_framing.hpp"
#include "codec/varint_framing.hpp"

namespace ferry::detail {
namespace {

// Calls `make` with the framing that is asked for, as a type.
template <class Make>
auto with_framing(const options& with, stream_shape shape, Make make) {
  if (shape == stream_shape::messages) return make(static_cast<codec::parts_framing*>(nullptr));
  switch (with.framing) {
    case framing_kind::u32: return make(static_cast<codec::u32_framing*>(nullptr));
    case framing_kind::typed: return make(static_cast<codec::typed_framing*>(nullptr));
    case framing_kind::varint: return make(static_cast<codec::varint_framing*>(nullptr));
    case framing_kind::automatic: break;
  }
  return shape == stream_shape::local ? make(static_cast<codec::typed_framing*>(nullptr))
                                      : make(static_cast<codec::varint_framing*>(nullptr));
}

}  // namespace

made_channel make_accepted(context& where, const shared_url& url, std::shared_ptr<const options> with,
                           stream_shape shape) {
  return with_framing(*with, shape, [&]<class F>(F*) {
    auto made = std::make_shared<stream_channel<F>>(where, url, with, nullptr);
    return made_channel{made, [made](std::shared_ptr<stream> s, std::shared_ptr<void> slot) {
                          made->start(std::move(s), std::move(slot));
                        }};
  });
}

std::shared_ptr<channel_impl> make_connecting(context& where, std::string url, std::shared_ptr<const options> with,
                                              std::unique_ptr<destination> to) {
  return with_framing(*with, to->transport->shape(), [&]<class F>(F*) -> std::shared_ptr<channel_impl> {
    return std::make_shared<stream_channel<F>>(where, url, with, std::move(to));
  });
}

}  // namespace ferry::detail

#include "codec/u32_framing.hpp"

namespace ferry::codec {

static_assert(framing<u32_framing>);

}  // namespace ferry::codec

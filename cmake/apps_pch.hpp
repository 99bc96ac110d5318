// What nearly every file of the program needs, compiled once.
#include <ferry/channel.hpp>
#include <ferry/context.hpp>
#include <ferry/listener.hpp>

#include "wet_pch.hpp"

import type { Location } from '../network/messages.ts';

const EARTH_KM = 6371;
/** Light in fibre goes 200 km in a millisecond, and a round trip is twice the way. */
const KM_PER_ROUND_TRIP_MS = 100;

/** Great-circle distance in km (haversine, on a sphere of the Earth's mean radius). */
export function distanceKm(from: Location, to: Location): number {
  const radians = Math.PI / 180;
  const half = (a: number, b: number): number => Math.sin(((b - a) * radians) / 2) ** 2;
  const chord =
    half(from.latitude, to.latitude) +
    Math.cos(from.latitude * radians) * Math.cos(to.latitude * radians) * half(from.longitude, to.longitude);
  return 2 * EARTH_KM * Math.asin(Math.sqrt(Math.min(1, chord)));
}

/** An answer came sooner than light could have brought it from where the provider claims to be. */
export function refutesLocation(monitor: Location, claimed: Location, rttMinMs: number): boolean {
  return rttMinMs < distanceKm(monitor, claimed) / KM_PER_ROUND_TRIP_MS;
}

/** What is exposed, and the question whether it answers, between control and agents. */

import { isIP } from '../model/address.ts';
import type { PlaceOutcome, PlaceTry, ReportedExposure, TriedPlace } from '../model/exposed.ts';
import { WIRE_LIMITS } from '../model/limits.ts';
import { integer, list, sentence, serviceName, text } from './check.ts';
import { placeOutcomeCodec, protocolCodec, toldFromWire } from './enums.ts';
import { WireError } from './errors.ts';
import type * as pb from './pb.ts';
import { timestampFromWire, timestampToWire } from './time.ts';

/** In a report of an agent, and in what the API tells of it. */
export function exposedToWire(exposed: readonly ReportedExposure[]): pb.Outgoing<pb.ReportedExposure>[] {
  return exposed.slice(0, WIRE_LIMITS.exposed).map(({ protocol, program, tries, ...rest }) => ({
    ...rest,
    protocol: protocolCodec.toWire(protocol),
    program: sentence(program, WIRE_LIMITS.name),
    tries: tries.map(({ timeMs, ...one }) => ({
      ...one,
      protocol: protocolCodec.toWire(one.protocol),
      outcome: placeOutcomeCodec.toWire(one.outcome),
      time: timestampToWire(timeMs),
    })),
  }));
}

/** Of an agent without tries, which it does not tell. Throws WireError. */
export function exposedFromWire(
  wire: readonly pb.Outgoing<pb.ReportedExposure>[] | null | undefined,
  field: string,
): readonly ReportedExposure[] {
  return list(wire, field, WIRE_LIMITS.exposed, (one, at) => ({
    service: serviceName(one.service, `${at}.service`),
    protocol: protocolCodec.fromWire(one.protocol, `${at}.protocol`),
    address: address(one.address, `${at}.address`),
    port: integer(one.port, `${at}.port`, 1, 65_535),
    program: text(one.program, `${at}.program`, WIRE_LIMITS.name),
    closed: one.closed ?? false,
    tries: list(one.tries, `${at}.tries`, WIRE_LIMITS.placeTries, tryFromWire),
  }));
}

function tryFromWire(one: NonNullable<pb.Outgoing<pb.ReportedExposure>['tries']>[number], at: string): PlaceTry {
  return {
    host: text(one.host, `${at}.host`, WIRE_LIMITS.name),
    address: address(one.address, `${at}.address`),
    port: integer(one.port, `${at}.port`, 1, 65_535),
    protocol: protocolCodec.fromWire(one.protocol, `${at}.protocol`),
    outcome: toldFromWire(placeOutcomeCodec, one.outcome, `${at}.outcome`),
    timeMs: timestampFromWire(one.time, `${at}.time`),
  };
}

export function triedPlacesToWire(
  id: number,
  agentId: string,
  places: readonly TriedPlace[],
): pb.Outgoing<pb.TryPlacesRequest> {
  const told = places.map((place) => ({ ...place, protocol: protocolCodec.toWire(place.protocol) }));
  return { id, agentId, places: told };
}

/** Throws WireError. */
export function triedPlacesFromWire(wire: pb.Outgoing<pb.TryPlacesRequest>): readonly TriedPlace[] {
  return list(wire.places, 'places', WIRE_LIMITS.triedPlaces, (place, at) => ({
    address: address(place.address, `${at}.address`),
    port: integer(place.port, `${at}.port`, 1, 65_535),
    protocol: protocolCodec.fromWire(place.protocol, `${at}.protocol`),
  }));
}

export function outcomesToWire(id: number, outcomes: readonly PlaceOutcome[]): pb.Outgoing<pb.TryPlacesResult> {
  return { id, outcomes: outcomes.map((outcome) => placeOutcomeCodec.toWire(outcome)) };
}

/** Throws WireError. */
export function outcomesFromWire(wire: pb.Outgoing<pb.TryPlacesResult>): readonly PlaceOutcome[] {
  return list(wire.outcomes, 'outcomes', WIRE_LIMITS.triedPlaces, (outcome, at) =>
    toldFromWire(placeOutcomeCodec, outcome, at),
  );
}

function address(value: string | null | undefined, field: string): string {
  const found = text(value, field, WIRE_LIMITS.name);
  if (isIP(found) === 0) throw new WireError('wire-form', field, 'expected an IP address');
  return found;
}

/** A request as it goes out on the platform's key: written anew from what was checked, whatever its body is, with the headers that may pass. */
import type { UpstreamRequest } from '../providers/send.ts';
import { gateForm } from './form.ts';
import { type GateRules, gate } from './gate.ts';
import { upstreamHeaders } from './headers.ts';
import type { AiRequest } from './request.ts';

export interface PlatformRules extends GateRules {
  /** Beta features that may be used. */
  betas: readonly string[];
}

export interface PlatformRequest {
  request: UpstreamRequest;
  /** The output cap, where it was lowered or added. */
  capped: number | null;
}

/** @throws AppError `model_not_allowed`, `field_not_allowed`, `invalid_input` */
export function platformRequest({ provider, route, json, form, path, headers }: AiRequest, rules: PlatformRules): PlatformRequest {
  const request = { method: route.method, path, headers: upstreamHeaders(headers, 'platform', rules.betas) };
  if (route.body === 'multipart') {
    const { body, contentType } = gateForm(provider, route, form ?? null, rules);
    return { request: { ...request, headers: { ...request.headers, 'content-type': contentType }, body }, capped: null };
  }
  const gated = json ? gate(provider, route, json, rules) : null;
  // What was read as JSON in UTF-8 must be read so there too, whatever the client calls it.
  if (gated) request.headers['content-type'] = 'application/json';
  return { request: { ...request, body: gated?.body ?? null }, capped: gated?.capped ?? null };
}

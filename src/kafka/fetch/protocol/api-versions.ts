import { type Api, apiVersionsKey } from './api.js'

/** Who asks; brokers take letters, digits, `.` and `-` only, and tell it in their metrics. */
export interface ApiVersionsRequest {
  readonly software: string
  readonly version: string
}

export interface ApiVersionsResponse {
  readonly error: number
  readonly apis: readonly { readonly key: number; readonly oldest: number; readonly newest: number }[]
}

/** The broker doesn't know the version that it was asked in: it does know version 0. */
export const unsupportedVersion = 35

/** What the broker speaks: the first question. */
export const apiVersions: Api<ApiVersionsRequest, ApiVersionsResponse> = {
  name: 'ApiVersions',
  key: apiVersionsKey,
  versions: [0, 3],
  flexibleFrom: 3,
  write(to, request, version) {
    if (version < 3) return
    to.string(request.software)
    to.string(request.version)
    to.tags()
  },
  read(from) {
    const error = from.int16()
    // What follows then is of another version, and of the mock cluster in none.
    if (error === unsupportedVersion) return { error, apis: [] }
    const apis = from.array(() => {
      const api = { key: from.int16(), oldest: from.int16(), newest: from.int16() }
      from.tags()
      return api
    })
    return { error, apis }
  },
}

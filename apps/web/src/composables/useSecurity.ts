import { useMutation, useQuery, useQueryCache } from '@pinia/colada';
import { api } from '../api.ts';
import { newPasskey } from '../passkeys.ts';

const key = ['security'];

/** How the caller signs in beside the password, refreshed after every change. Verbs reject with the server's error. */
export function useSecurity() {
  const cache = useQueryCache();
  const { data: security, error, refetch } = useQuery({ key, query: () => api.accounts.security.query() });
  const onSettled = () => Promise.all([cache.invalidateQueries({ key }), cache.invalidateQueries({ key: ['sessions'] })]);
  const { mutateAsync: confirmFactor } = useMutation({
    mutation: async (code: string) => (await api.accounts.confirmFactor.mutate({ code })).codes,
    onSettled,
  });
  const { mutateAsync: renewCodes } = useMutation({
    mutation: async (both: { password: string; code: string }) => (await api.accounts.renewBackupCodes.mutate(both)).codes,
    onSettled,
  });
  const { mutateAsync: disableFactor } = useMutation({
    mutation: (both: { password: string; code: string }) => api.accounts.disableFactor.mutate(both),
    onSettled,
  });
  const { mutateAsync: addPasskey } = useMutation({
    async mutation({ name, password }: { name: string; password: string }) {
      const { options } = await api.accounts.passkeyOptions.mutate({ password });
      const response = (await newPasskey(options)) as Parameters<typeof api.accounts.addPasskey.mutate>[0]['response'];
      await api.accounts.addPasskey.mutate({ name, response });
    },
    onSettled,
  });
  const { mutateAsync: removePasskey } = useMutation({ mutation: (id: string) => api.accounts.removePasskey.mutate({ id }), onSettled });
  const beginFactor = (password: string) => api.accounts.beginFactor.mutate({ password });
  return {
    security,
    error,
    refetch,
    factor: { begin: beginFactor, confirm: confirmFactor, renewCodes, disable: disableFactor },
    addPasskey,
    removePasskey,
  };
}

export type FactorVerbs = ReturnType<typeof useSecurity>['factor'];

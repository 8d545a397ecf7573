import { Alert, Button, Code, CopyButton, Group, Modal, Stack, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useCommand } from '../../api/command';
import { operatorKeys, useEndpoints, type Endpoint } from '../../api/operator';
import { Ago } from '../../components/Ago';
import { CoreWords } from '../../components/CoreWords';
import { FaultAlert } from '../../components/FaultAlert';
import { Deliveries } from './Deliveries';
import { EndpointDialog } from './EndpointDialog';
import classes from './operator.module.css';
import { Panel } from './Panel';
import { Table, type Column } from './Table';

/** The addresses that get events, and how they stand. */
export function Webhooks() {
  const { t } = useTranslation();
  const endpoints = useEndpoints();
  const [edited, setEdited] = useState<Endpoint | 'new' | null>(null);
  const [secret, setSecret] = useState('');
  const [chosen, setChosen] = useState('');
  const rows = endpoints.data ?? [];
  const columns: Column<Endpoint>[] = [
    {
      label: t('operator.hooks.url'),
      cell: (one) => (
        <div>
          <span data-id>{one.url}</span>
          {one.description && (
            <Text size="sm" c="dimmed">
              {one.description}
            </Text>
          )}
        </div>
      ),
    },
    { label: t('operator.hooks.state'), cell: (one) => <Standing endpoint={one} /> },
    { label: t('operator.hooks.pending'), cell: (one) => Number(one.pending ?? 0), isNumber: true },
    {
      label: t('operator.hooks.deeds'),
      cell: (one) => (
        <Group gap={6}>
          <Button size="compact-sm" variant="default" onClick={() => setChosen(one.endpoint_id)}>
            {t('operator.hooks.deliveries')}
          </Button>
          <Button size="compact-sm" variant="default" onClick={() => setEdited(one)}>
            {t('operator.hooks.edit')}
          </Button>
          <Deed endpoint={one} verb="rotate" onSecret={setSecret} />
          <Deed endpoint={one} verb="delete" onSecret={setSecret} />
        </Group>
      ),
    },
  ];
  const shown = rows.find((one) => one.endpoint_id === chosen);
  return (
    <Stack gap="lg">
      <Panel
        title={t('operator.hooks.title')}
        about={t('operator.hooks.about')}
        query={endpoints}
        aside={
          <Button size="compact-sm" onClick={() => setEdited('new')}>
            {t('operator.hooks.add')}
          </Button>
        }
      >
        {secret && <Secret secret={secret} onClose={() => setSecret('')} />}
        {rows.length > 0 ? (
          <Table
            label={t('operator.hooks.title')}
            columns={columns}
            rows={rows}
            keyOf={(one) => one.endpoint_id}
          />
        ) : (
          endpoints.isSuccess && <Text role="status">{t('operator.hooks.empty')}</Text>
        )}
      </Panel>
      {shown && <Deliveries key={shown.endpoint_id} endpoint={shown} />}
      {edited && (
        <EndpointDialog
          endpoint={edited === 'new' ? undefined : edited}
          onClose={() => setEdited(null)}
          onSecret={setSecret}
        />
      )}
    </Stack>
  );
}

function Standing({ endpoint }: { endpoint: Endpoint }) {
  const { t } = useTranslation();
  const state = endpoint.disabled ? 'disabled' : endpoint.failing_since ? 'failing' : 'well';
  const tone = { disabled: 'wait', failing: 'alarm', well: 'good' }[state];
  return (
    <div>
      <span className={classes.verdict} data-tone={tone}>
        {t(`operator.hooks.standing.${state}`)}
      </span>
      <Text size="sm" c="dimmed" mt={2}>
        {endpoint.disabled
          ? endpoint.disabled_reason && <CoreWords words={endpoint.disabled_reason} />
          : endpoint.failing_since && <Ago time={endpoint.failing_since} />}
      </Text>
    </div>
  );
}

/** The secret is shown here and never again. */
function Secret({ secret, onClose }: { secret: string; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Alert color="yellow" title={t('operator.hooks.secret')} role="status">
      <Stack gap="sm" align="flex-start">
        <Text size="sm">{t('operator.hooks.secretOnce')}</Text>
        <Code className={classes.secret} data-secret data-id>{secret}</Code>
        <Group gap="sm">
          <CopyButton value={secret}>
            {({ copied, copy }) => (
              <Button size="compact-sm" variant="default" onClick={copy}>
                {t(copied ? 'operator.hooks.copied' : 'operator.hooks.copy')}
              </Button>
            )}
          </CopyButton>
          <Button size="compact-sm" variant="default" onClick={onClose}>
            {t('operator.hooks.kept')}
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}

interface DeedProps {
  endpoint: Endpoint;
  verb: 'rotate' | 'delete';
  onSecret: (secret: string) => void;
}

/** What cannot be taken back is asked for first. */
function Deed({ endpoint, verb, onSecret }: DeedProps) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [isOpen, setOpen] = useState(false);
  const command = useCommand<{ secret?: string }>();
  const path = `/api/v1/webhooks/endpoints/${endpoint.endpoint_id}`;
  const call = () =>
    command.mutate(
      verb === 'rotate' ? { path: `${path}:rotateSecret`, body: {} } : { path, method: 'DELETE', body: {} },
      {
        onSuccess: (answer) => {
          onSecret(answer.secret ?? '');
          setOpen(false);
          void client.invalidateQueries({ queryKey: operatorKeys.endpoints });
        },
      },
    );
  return (
    <>
      <Button size="compact-sm" variant="default" onClick={() => setOpen(true)}>
        {t(`operator.hooks.${verb}`)}
      </Button>
      <Modal opened={isOpen} onClose={() => setOpen(false)} title={t(`operator.hooks.${verb}Ask`)}>
        <Stack>
          <Text className="hf-words">{t(`operator.hooks.${verb}Means`, { url: endpoint.url })}</Text>
          <FaultAlert error={command.error} isForOperators />
          <Group justify="flex-end">
            <Button variant="default" onClick={() => setOpen(false)}>
              {t('operator.back')}
            </Button>
            <Button color={verb === 'delete' ? 'red' : undefined} loading={command.isPending} onClick={call}>
              {t(`operator.hooks.${verb}Deed`)}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}

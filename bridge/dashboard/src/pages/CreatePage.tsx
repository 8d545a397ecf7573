import {
  ActionIcon,
  Button,
  Fieldset,
  Group,
  SegmentedControl,
  Select,
  Stack,
  Switch,
  Text,
  Textarea,
  TextInput,
  Title,
} from '@mantine/core';
import { useForm, type UseFormReturnType } from '@mantine/form';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import { useNavigate } from 'react-router';
import { useCommand } from '../api/command';
import { Fault } from '../api/http';
import { useDefaults } from '../api/query';
import type { WireEscrow } from '../api/wire';
import { FaultAlert } from '../components/FaultAlert';
import { useAuth, type User } from '../contexts/AuthContext';
import {
  amountsOf,
  EMPTY_DRAFT,
  EMPTY_PART,
  fieldOf,
  problemsIn,
  requestOf,
  totalOf,
  type Draft,
} from '../escrow/draft';
import { formatMoney } from '../escrow/money';
import { payoutWords, plannedFee } from '../escrow/payout';
import classes from './CreatePage.module.css';
import { usePageTitle } from './title';

const MILESTONES_MAX = 20;
const DAYS = ['1', '3', '7', '14', '30'].map((value) => ({
  value,
  label: value === '1' ? '1 day' : `${value} days`,
}));

type DraftForm = UseFormReturnType<Draft>;

export function CreatePage() {
  usePageTitle('New escrow');
  const { user } = useAuth();
  return user && <CreateForm user={user} />;
}

function CreateForm({ user }: { user: User }) {
  const navigate = useNavigate();
  const create = useCommand<{ escrow: WireEscrow }>();
  const form = useForm<Draft>({
    initialValues: EMPTY_DRAFT,
    validate: (draft) => problemsIn(draft, user.user_id),
  });
  const submit = form.onSubmit((draft) =>
    create.mutate(
      { path: '/api/v1/escrows', body: requestOf(draft, user.user_id) },
      {
        onSuccess: ({ escrow }) => void navigate(`/escrows/${escrow.escrow_id}`),
        onError: (error) => {
          const fields = error instanceof Fault ? error.fields : [];
          form.setErrors(
            Object.fromEntries(fields.map((one) => [fieldOf(one.field, form.values), one.message])),
          );
        },
      },
    ),
  );
  const other = form.values.part === 'buyer' ? 'seller' : 'buyer';
  return (
    <form onSubmit={submit} noValidate className={classes.form}>
      <Title order={1}>New escrow</Title>
      <Stack className="hf-card" p="xl" gap="lg">
        <div>
          <Text fw={500} size="sm" mb={6} id="part">
            I am the
          </Text>
          <SegmentedControl
            aria-labelledby="part"
            data={[
              { value: 'buyer', label: 'Buyer' },
              { value: 'seller', label: 'Seller' },
            ]}
            {...form.getInputProps('part')}
          />
        </div>
        <TextInput
          label="What is it for?"
          placeholder="Oak table, 2 m"
          withAsterisk
          maxLength={200}
          {...form.getInputProps('title')}
        />
        <Textarea
          label="What was agreed"
          description="Both of you, and the arbiter, will read it when in doubt."
          autosize
          minRows={3}
          maxLength={5000}
          {...form.getInputProps('description')}
        />
        <div className={classes.pair}>
          <TextInput
            label={`Who is the ${other}?`}
            placeholder="their user id"
            withAsterisk
            autoComplete="off"
            {...form.getInputProps('other_id')}
          />
          <TextInput
            label="Who decides in a dispute?"
            placeholder="an arbiter’s user id, or nobody"
            autoComplete="off"
            {...form.getInputProps('arbiter_id')}
          />
        </div>
        <Amounts form={form} />
        <Payout draft={form.values} />
        <div className={classes.pair}>
          <Select
            label="Time to pay"
            description="If it is not paid by then, it is cancelled."
            allowDeselect={false}
            data={DAYS}
            {...form.getInputProps('payment_days')}
          />
          <Select
            label="Time to inspect"
            description="After the seller has confirmed."
            allowDeselect={false}
            data={DAYS}
            {...form.getInputProps('inspection_days')}
          />
        </div>
        {form.values.part === 'buyer' && (
          <Switch
            label={`${form.values.other_id.trim() || 'The seller'} must accept before I pay`}
            description="So that somebody is there when your money is. You get a link to send."
            {...form.getInputProps('needs_acceptance', { type: 'checkbox' })}
          />
        )}
        <FaultAlert error={create.error} />
        <Group>
          <Button type="submit" size="md" loading={create.isPending}>
            Create escrow
          </Button>
          <Text size="sm" c="dimmed">
            No money moves yet.
          </Text>
        </Group>
      </Stack>
    </form>
  );
}

/** What the seller gets of the amounts as they are typed, and the fee, before anybody agrees. */
function Payout({ draft }: { draft: Draft }) {
  const defaults = useDefaults();
  const amounts = amountsOf(draft);
  if (!defaults.data || !amounts) return null;
  const seller = draft.part === 'seller' ? 'You get' : `${draft.other_id.trim() || 'The seller'} gets`;
  const total = amounts.reduce((sum, one) => sum + one, 0);
  const fee = plannedFee(amounts, defaults.data.fee_bps ?? 0);
  return (
    <Text size="sm" c="dimmed" role="status" aria-label="What the seller gets">
      {payoutWords(seller, total, fee, 'INR')}.
    </Text>
  );
}

function Amounts({ form }: { form: DraftForm }) {
  const { has_milestones: hasMilestones } = form.values;
  return (
    <Stack gap="md">
      <Switch
        label="Pay out in milestones"
        description="Each one is confirmed, released or disputed separately."
        {...form.getInputProps('has_milestones', { type: 'checkbox' })}
      />
      {hasMilestones ? (
        <Milestones form={form} />
      ) : (
        <TextInput
          label="Amount"
          placeholder="10,000"
          leftSection="₹"
          inputMode="decimal"
          withAsterisk
          maw={240}
          {...form.getInputProps('amount')}
        />
      )}
    </Stack>
  );
}

function Milestones({ form }: { form: DraftForm }) {
  const { milestones } = form.values;
  return (
    <Fieldset legend="Milestones" radius="md">
      <Stack gap="sm">
        {milestones.map((_, index) => (
          <div key={index} className={classes.milestone}>
            <TextInput
              aria-label={`Title of milestone ${index + 1}`}
              placeholder={`Milestone ${index + 1}`}
              maxLength={200}
              {...form.getInputProps(`milestones.${index}.title`)}
            />
            <TextInput
              aria-label={`Amount of milestone ${index + 1}`}
              placeholder="5,000"
              leftSection="₹"
              inputMode="decimal"
              {...form.getInputProps(`milestones.${index}.amount`)}
            />
            <ActionIcon
              variant="subtle"
              color="gray"
              size="lg"
              aria-label={`Remove milestone ${index + 1}`}
              disabled={milestones.length === 1}
              onClick={() => form.removeListItem('milestones', index)}
            >
              <IconTrash size={17} aria-hidden />
            </ActionIcon>
          </div>
        ))}
        <Group justify="space-between">
          <Button
            variant="subtle"
            size="sm"
            leftSection={<IconPlus size={16} aria-hidden />}
            disabled={milestones.length >= MILESTONES_MAX}
            onClick={() => form.insertListItem('milestones', EMPTY_PART)}
          >
            Add a milestone
          </Button>
          <Text fw={560} role="status">
            Together {formatMoney(totalOf(form.values) ?? 0)}
          </Text>
        </Group>
      </Stack>
    </Fieldset>
  );
}
